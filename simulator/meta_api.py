"""Meta's side: media ids, lookaside links, and messages that the business sends.

Source:
developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media.
"""

from __future__ import annotations

import re
from base64 import b64encode
from uuid import uuid4

from simulator.file_ids import FileId
from simulator.listener import Request, Response, json_response
from simulator.sent_messages import meta_fault
from simulator.vendor_answers import json_object, meta_error, refused_by_meta, text
from simulator.vendor_state import Send, VendorState

ID_SECONDS = 7 * 24 * 3600
LINK_SECONDS = 5 * 60


class MetaApi:
    def __init__(self, state: VendorState) -> None:
        self._state = state

    def resolve(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_token(request):
            return refused_by_meta()
        media_id = match["media"]
        file = FileId.read(media_id)
        if (
            file is None
            or media_id in self._state.expired
            or self._state.now() - file.sent_at > ID_SECONDS
        ):
            return meta_error(
                400,
                100,
                f"Unsupported get request. Object with ID '{media_id}' does not exist, cannot "
                "be loaded due to missing permissions, or does not support this operation.",
                subcode=33,
            )
        content = file.content()
        return json_response(
            200,
            {
                "messaging_product": "whatsapp",
                "url": self.link(media_id),
                "mime_type": content.content_type,
                "sha256": content.sha256,
                "file_size": content.size,
                "id": media_id,
            },
        )

    def delete(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_token(request):
            return refused_by_meta()
        if FileId.read(match["media"]) is None or not self._state.delete(
            match["media"]
        ):
            return meta_error(400, 100, "Unsupported delete request", subcode=33)
        return json_response(200, {"success": True})

    def send(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_token(request):
            return refused_by_meta()
        body = json_object(request.body)
        if (
            match["number"] != self._state.accounts.meta_phone_number_id
            or body.get("messaging_product") != "whatsapp"
        ):
            return meta_error(400, 100, "Invalid parameter")
        if body.get("status") == "read":
            return json_response(200, {"success": True})
        if fault := meta_fault(body):
            return meta_error(400, 100, f"(#100) {fault}")
        to = str(body.get("to") or body["recipient"])
        message_id = f"wamid.{b64encode(uuid4().bytes).decode()}"
        self._state.record(
            Send(provider="meta", to=to, provider_message_id=message_id, body=body)
        )
        contact = {"input": to, "user_id": to}
        if body.get("to"):
            contact = {"input": to, "wa_id": to.lstrip("+")}
        return json_response(
            200,
            {
                "messaging_product": "whatsapp",
                "contacts": [contact],
                "messages": [{"id": message_id}],
            },
        )

    def serve(self, request: Request, token: str) -> Response:
        if not self._bears_token(request):
            return text(401, "Authentication failed")
        return self._state.serve(
            self._state.accounts.meta_app_secret,
            token,
            lifetime=LINK_SECONDS,
            otherwise="URL signature expired",
        )

    def link(self, media_id: str) -> str:
        """A fresh link, good for five minutes with the access token."""
        return self._state.link("links", self._state.accounts.meta_app_secret, media_id)

    def _bears_token(self, request: Request) -> bool:
        return self._state.authorizes(
            request, {f"Bearer {self._state.accounts.meta_access_token}"}
        )
