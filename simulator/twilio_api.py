"""Twilio's side: media that redirect to signed links, messages that the business sends, and lists.

Sources: www.twilio.com/docs/messaging/api/media-resource and …/message-resource.
"""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import parse_qsl
from uuid import uuid4

from simulator import twilio_list
from simulator.deliveries import twilio_address
from simulator.file_ids import FileId
from simulator.listener import Request, Response, json_response
from simulator.sent_messages import twilio_fault
from simulator.vendor_answers import refused_by_twilio, text, twilio_error
from simulator.vendor_state import Send, VendorState

LINK_SECONDS = 4 * 3600


class TwilioApi:
    def __init__(self, state: VendorState) -> None:
        self._state = state

    def redirect(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_password(request):
            return refused_by_twilio()
        media_id = match["media"]
        known = (
            match["account"] == self._state.accounts.twilio_account_sid
            and FileId.read(media_id) is not None
        )
        if not known or media_id in self._state.expired:
            return twilio_error(
                404, 20404, f"The requested resource {request.path} was not found"
            )
        link = self._state.link("cdn", self._state.accounts.twilio_auth_token, media_id)
        return Response(status=307, headers={"Location": link})

    def delete(self, request: Request, match: re.Match[str]) -> Response:
        """A file of a message, or the message."""
        refusal = self._refusal(request, match["account"])
        if refusal is not None:
            return refusal
        if not self._state.delete(match["id"]):
            return twilio_error(
                404, 20404, f"The requested resource {request.path} was not found"
            )
        return Response(status=204)

    def send(self, request: Request, match: re.Match[str]) -> Response:
        refusal = self._refusal(request, match["account"])
        if refusal is not None:
            return refusal
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if fault := twilio_fault(form, self._state.accounts.twilio_number):
            return twilio_error(400, *fault)
        message_id = f"SM{uuid4().hex}"
        self._state.record(
            Send(
                provider="twilio",
                to=form["To"],
                provider_message_id=message_id,
                body=form,
            )
        )
        return json_response(
            201,
            {
                "sid": message_id,
                "account_sid": match["account"],
                "status": "queued",
                "direction": "outbound-api",
                "from": form.get("From"),
                "to": form["To"],
                "body": form.get("Body", ""),
                "num_media": "0",
                "error_code": None,
                "error_message": None,
            },
        )

    def list_messages(self, request: Request, match: re.Match[str]) -> Response:
        refusal = self._refusal(request, match["account"])
        if refusal is not None:
            return refusal
        with self._state.lock:
            heard, sends = list(self._state.heard), list(self._state.sends)
        number = self._state.accounts.twilio_number
        listed = [
            twilio_list.received(each, twilio_address(each.owner, number))
            for each in heard
        ]
        listed += [
            twilio_list.sent(each, match["account"])
            for each in sends
            if each.provider == "twilio"
        ]
        return json_response(200, twilio_list.page(listed, request.path, request.query))

    def list_media(self, request: Request, match: re.Match[str]) -> Response:
        refusal = self._refusal(request, match["account"])
        if refusal is not None:
            return refusal
        with self._state.lock:
            heard = list(self._state.heard)
        files = [
            each.file
            for each in heard
            if each.message_id == match["message"] and each.file is not None
        ]
        return json_response(200, twilio_list.media_page(files, request.path))

    def _refusal(self, request: Request, account: str) -> Response | None:
        if not self._bears_password(request):
            return refused_by_twilio()
        if account != self._state.accounts.twilio_account_sid:
            return twilio_error(
                404, 20404, f"The requested resource {request.path} was not found"
            )
        return None

    def serve(self, request: Request, token: str) -> Response:
        if request.headers.get("Authorization") is not None:
            with self._state.lock:
                self._state.leaks.append(request.path)
            return text(400, "Only one auth mechanism allowed")
        return self._state.serve(
            self._state.accounts.twilio_auth_token,
            token,
            lifetime=LINK_SECONDS,
            otherwise="Request has expired",
        )

    def _bears_password(self, request: Request) -> bool:
        pairs = [
            (
                self._state.accounts.twilio_account_sid,
                self._state.accounts.twilio_auth_token,
            )
        ]
        if self._state.accounts.twilio_api_key:
            pairs.append(
                (
                    self._state.accounts.twilio_api_key,
                    self._state.accounts.twilio_api_secret,
                )
            )
        return self._state.authorizes(
            request,
            {f"Basic {b64encode(':'.join(pair).encode()).decode()}" for pair in pairs},
        )
