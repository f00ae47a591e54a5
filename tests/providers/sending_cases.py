"""What is sent to each provider, and a provider that answers as it is told."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pytest_django import Settings

from messages_app.providers import provider as provider_called
from messages_app.providers.base import (
    Button,
    OutgoingMessage,
)
from simulator.accounts import Accounts
from tests.providers.deliveries import ADA
from tests.providers.receiver import (
    Behaviour,
    Receiver,
    answer,
)

ACCOUNTS = Accounts()
REFERENCE = "7b1c3a52-0a43-5c3e-9a3e-5a2d0f2b6f11"
YES_OR_NO = (Button(id="add", title="Yes, add"), Button(id="skip", title="No, skip"))
SECRETS = ("hush-one", "hush-two")


@dataclass(frozen=True, kw_only=True)
class ProviderCase:
    name: str
    message: OutgoingMessage
    #: The settings that hold its address and its secrets.
    url: str
    secrets: str
    path: str
    #: What it answers when all is well, with the id "the-id".
    taken: Behaviour
    #: The Authorization headers that stand for SECRETS.
    authorizations: tuple[str, ...]

    def send(self, **changes: Any) -> str:
        return provider_called(self.name).send(replace(self.message, **changes))

    def error(self, status: int, code: int, *headers: str) -> Behaviour:
        """As the provider says it; Meta really quotes tokens."""
        words = f"Malformed access token {SECRETS[0]} {SECRETS[1]}"
        said = {"code": code, "message": words, "status": status}
        return answer(
            status, {"error": said} if self.name == "meta" else said, *headers
        )

    @contextmanager
    def answering(
        self,
        settings: Settings,
        *behaviours: Behaviour,
        tls: ssl.SSLContext | None = None,
    ) -> Iterator[Receiver]:
        with Receiver(*behaviours, tls=tls) as receiver:
            setattr(settings, self.url, receiver.url)
            setattr(settings, self.secrets, list(SECRETS))
            yield receiver


META = ProviderCase(
    name="meta",
    message=OutgoingMessage(
        account=ACCOUNTS.meta_phone_number_id,
        business=ACCOUNTS.meta_number,
        to=ADA,
        text="All ten photos are here.",
        reference=REFERENCE,
    ),
    url="META_GRAPH_URL",
    secrets="META_ACCESS_TOKEN",
    path=f"/v25.0/{ACCOUNTS.meta_phone_number_id}/messages",
    taken=answer(
        200, {"messaging_product": "whatsapp", "messages": [{"id": "the-id"}]}
    ),
    authorizations=tuple(f"Bearer {secret}" for secret in SECRETS),
)
TWILIO = ProviderCase(
    name="twilio",
    message=replace(
        META.message,
        account=ACCOUNTS.twilio_account_sid,
        business=ACCOUNTS.twilio_number,
    ),
    url="TWILIO_API_URL",
    secrets="TWILIO_AUTH_TOKEN",
    path=f"/2010-04-01/Accounts/{ACCOUNTS.twilio_account_sid}/Messages.json",
    taken=answer(201, {"sid": "the-id", "status": "queued"}),
    authorizations=tuple(
        "Basic "
        + b64encode(f"{ACCOUNTS.twilio_account_sid}:{secret}".encode()).decode()
        for secret in SECRETS
    ),
)
