"""One customer who talks to the business: says words, sends photos, at times of their own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from simulator.accounts import Accounts
from simulator.burst import message_id
from simulator.content import Kind
from simulator.deliveries import SignedRequest, meta_delivery, twilio_delivery
from simulator.file_ids import FileId
from simulator.ledger import AnnouncedFile, AnnouncedMessage, Ledger


@dataclass(kw_only=True)
class Customer:
    """Each thing that is said is a signed request, to be posted when and as often as one likes."""

    #: ``+14335550001``
    number: str
    #: What its owner begins with. By Meta there is WhatsApp alone.
    channel: str = "whatsapp"
    provider: str = "meta"
    name: str = "Ana"
    accounts: Accounts = field(default_factory=Accounts)
    #: The address that Twilio signs, and where its media URLs lead.
    public_url: str = "http://localhost:8000"
    api_url: str = "https://api.twilio.com"

    def __post_init__(self) -> None:
        self._serial = itertools.count(1)
        self._messages: list[AnnouncedMessage] = []

    @property
    def ledger(self) -> Ledger:
        """All that was said so far."""
        return Ledger(tuple(self._messages))

    def say(self, text: str, at: float) -> SignedRequest:
        """Words, sent at this second since 1970."""
        return self._deliver(self._message(text, at))

    def photo(
        self,
        at: float,
        *,
        seed: int | None = None,
        made_at: float | None = None,
        caption: str = "",
    ) -> SignedRequest:
        """A photo of its own. One of the same ``seed`` has the same bytes; made at the same time,
        the same id.
        """
        number = next(self._serial)
        id = FileId(
            Kind.PHOTO,
            self._seed(number) if seed is None else seed,
            int(at if made_at is None else made_at),
        )
        content = id.content()
        message = self._message(caption, at, number=number, kind="image")
        file = AnnouncedFile(
            provider=self.provider,
            account=message.account,
            media_id=id.meta if self.provider == "meta" else id.twilio,
            message_id=message.message_id,
            owner=message.owner,
            kind=Kind.PHOTO,
            sha256=content.sha256,
            size=content.size,
            content_type=content.content_type,
            filename=content.filename,
            occurred_at=datetime.fromtimestamp(int(at), UTC)
            if self.provider == "meta"
            else None,
        )
        return self._deliver(replace(message, file=file))

    def _seed(self, number: int) -> int:
        return (int(self.number.lstrip("+")) * 100 + number) % 2**32

    def _message(
        self, text: str, at: float, *, number: int | None = None, kind: str = "text"
    ) -> AnnouncedMessage:
        number = next(self._serial) if number is None else number
        is_meta = self.provider == "meta"
        return AnnouncedMessage(
            provider=self.provider,
            account=self.accounts.meta_phone_number_id
            if is_meta
            else self.accounts.twilio_account_sid,
            message_id=message_id(
                self.provider,
                f"{self.number}|{int(at)}|{number}",
                with_file=kind != "text",
            ),
            owner=f"{self.channel}:{self.number}",
            name=self.name,
            kind=kind,
            text=text,
            sent_at=int(at),
        )

    def _deliver(self, message: AnnouncedMessage) -> SignedRequest:
        self._messages.append(message)
        if self.provider == "meta":
            return meta_delivery(self.accounts, [[[message]]])
        return twilio_delivery(
            self.accounts, message, public_url=self.public_url, api_url=self.api_url
        )
