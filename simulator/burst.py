"""A burst of messages as customers and vendors make it."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from random import Random

from simulator.accounts import Accounts
from simulator.content import Kind
from simulator.deliveries import (
    Entry,
    SignedRequest,
    meta_delivery,
    twilio_delivery,
)
from simulator.file_ids import FileId
from simulator.ledger import AnnouncedFile, AnnouncedMessage, Ledger

PROVIDERS = ("meta", "twilio")

_NUMBERS = 10_000
_NAMES = (
    "Ana",
    "Björn",
    "Chiara",
    "Dmitri",
    "Esra",
    "Farid",
    "Giulia",
    "Hồng",
    "Ines",
    "José",
    "Kaya",
    "Leïla",
)
_CAPTIONS = ("", "", "", "The front", "From behind 📸", "As agreed", "¿Así está bien?")
_EXTRAS = (Kind.VIDEO, Kind.VOICE, Kind.DOCUMENT, Kind.STICKER)


@dataclass(frozen=True, kw_only=True)
class Burst:
    """Albums of many customers at once. The same values build the same requests, byte for byte.

    Raises ValueError for a provider that does not exist and for more senders than numbers.
    """

    #: Photos from each sender: about one in ten is a PNG, the others are JPEG.
    photos: int = 30
    senders: int = 20
    #: How often each delivery is posted.
    duplicates: int = 3
    #: meta, twilio, or both: then every other sender writes through Twilio.
    provider: str = "meta"
    seed: int = 1
    #: Beside the photos, from each sender: a video, a voice note, a document, a sticker and a text;
    #: captions on some.
    mix: bool = False
    #: With ``mix``: the exact size of each document; 0: as big as one page is.
    document_bytes: int = 0
    #: When the first photo was taken, in seconds; None: just now.
    start: int | None = None
    accounts: Accounts = field(default_factory=Accounts)
    #: The address that Twilio signs.
    public_url: str = "http://localhost:8000"
    #: Where Twilio's media URLs lead.
    api_url: str = "https://api.twilio.com"
    #: The base URL of the host that links lead to; with it about half of Meta's deliveries carry
    #: links too.
    links: str = ""

    def __post_init__(self) -> None:
        if self.provider not in (*PROVIDERS, "both"):
            raise ValueError(f"no such provider: {self.provider!r}")
        if self.senders > _NUMBERS:
            raise ValueError(
                f"{self.senders} senders are more than the {_NUMBERS} numbers there are"
            )

    def build(self) -> tuple[list[SignedRequest], Ledger]:
        """All requests in the order they are to be posted, and what they announce."""
        start = int(time.time()) - 3 if self.start is None else self.start
        random = Random(self.seed)
        messages = tuple(self._messages(random, start))
        deliveries = [
            *self._meta_deliveries(random, messages),
            *self._twilio_deliveries(messages),
        ]
        posted = deliveries * self.duplicates
        random.shuffle(posted)
        return posted, Ledger(messages)

    def _messages(self, random: Random, start: int) -> Iterator[AnnouncedMessage]:
        number = 0
        for sender, line in enumerate(random.sample(range(_NUMBERS), self.senders)):
            provider = (
                PROVIDERS[sender % 2] if self.provider == "both" else self.provider
            )
            name = f"{random.choice(_NAMES)} {line:04}"
            for kind in self._kinds(random):
                number += 1
                yield self._message(
                    random,
                    provider,
                    f"whatsapp:+1433555{line:04}",
                    name,
                    kind,
                    number,
                    start,
                )

    def _kinds(self, random: Random) -> list[Kind | None]:
        """What one sender sends; None is a text."""
        photos = [
            Kind.SCREENSHOT if random.random() < 0.1 else Kind.PHOTO
            for _ in range(self.photos)
        ]
        if self.mix:
            return [*photos, *_EXTRAS, None]
        return [*photos]

    def _message(
        self,
        random: Random,
        provider: str,
        owner: str,
        name: str,
        kind: Kind | None,
        number: int,
        start: int,
    ) -> AnnouncedMessage:
        # Albums share their second: times tell nothing apart.
        sent_at = start + random.randrange(3)
        account = (
            self.accounts.meta_phone_number_id
            if provider == "meta"
            else self.accounts.twilio_account_sid
        )
        given_id = message_id(
            provider, f"{self.seed}|{start}|{number}", with_file=kind is not None
        )
        file, message_type = None, "text"
        if kind is not None:
            size = 0
            if kind is Kind.DOCUMENT:
                size = self.document_bytes
            id = FileId(kind, (self.seed * 100_000 + number) % 2**32, sent_at, size)
            content = id.content()
            message_type = content.message_type
            file = AnnouncedFile(
                provider=provider,
                account=account,
                media_id=id.meta if provider == "meta" else id.twilio,
                message_id=given_id,
                owner=owner,
                kind=kind,
                sha256=content.sha256,
                size=content.size,
                content_type=content.content_type,
                filename=content.filename,
                occurred_at=datetime.fromtimestamp(sent_at, UTC)
                if provider == "meta"
                else None,
            )
        return AnnouncedMessage(
            provider=provider,
            account=account,
            message_id=given_id,
            owner=owner,
            name=name,
            kind=message_type,
            text=self._words(random, kind),
            sent_at=sent_at,
            file=file,
        )

    def _words(self, random: Random, kind: Kind | None) -> str:
        if kind is None:
            return f"That is all for order {random.randrange(1000, 10_000)}. Thanks!"
        captioned = self.mix and kind in (Kind.PHOTO, Kind.SCREENSHOT, Kind.VIDEO)
        if not captioned:
            return ""
        return random.choice(_CAPTIONS)

    def _meta_deliveries(
        self, random: Random, messages: Sequence[AnnouncedMessage]
    ) -> Iterator[SignedRequest]:
        left = [message for message in messages if message.provider == "meta"]
        # Neighbours in a batch come from anywhere, as they do when Meta catches up.
        random.shuffle(left)
        while left:
            # Most deliveries carry one message, some a batch.
            count = random.choice((1, 1, 1, 1, 1, 2, 3, 5))
            batch, left = left[:count], left[count:]
            links = random.choice((self.links, ""))
            yield meta_delivery(self.accounts, _nested(random, batch), links=links)

    def _twilio_deliveries(
        self, messages: Sequence[AnnouncedMessage]
    ) -> Iterator[SignedRequest]:
        for message in messages:
            if message.provider == "twilio":
                yield twilio_delivery(
                    self.accounts,
                    message,
                    public_url=self.public_url,
                    api_url=self.api_url,
                )


def message_id(provider: str, name: str, *, with_file: bool) -> str:
    """The id that the vendor gives the message of this name."""
    digest = sha256(name.encode()).digest()
    if provider == "meta":
        return f"wamid.{b64encode(digest[:24]).decode()}"
    if with_file:
        return f"MM{digest[:16].hex()}"
    return f"SM{digest[:16].hex()}"


def _nested(random: Random, batch: Sequence[AnnouncedMessage]) -> list[Entry]:
    """The batch as entries of changes of messages; where it is cut is chance."""
    entries: list[list[list[AnnouncedMessage]]] = []
    for message in batch:
        level = random.choice(("entry", "change", "message")) if entries else "entry"
        if level == "entry":
            entries.append([[message]])
        elif level == "change":
            entries[-1].append([message])
        else:
            entries[-1][-1].append(message)
    return [*entries]
