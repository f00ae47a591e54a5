"""A burst of messages as customers and vendors make it, and the posting of it."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from random import Random

import requests

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

__all__ = ["Answer", "Burst", "Ledger", "SignedRequest", "send"]

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
        return [*photos, *_EXTRAS, None] if self.mix else [*photos]

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
            size = self.document_bytes if kind is Kind.DOCUMENT else 0
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
        return random.choice(_CAPTIONS) if captioned else ""

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
    return f"{'MM' if with_file else 'SM'}{digest[:16].hex()}"


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


# --- posting ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How the posting of one request ended."""

    request: SignedRequest
    #: 0: there was no answer.
    status: int
    #: Of the last try.
    seconds: float
    tries: int = 1
    #: Why there was no answer, or "".
    error: str = ""

    @property
    def accepted(self) -> bool:
        """Only exactly 200 counts: the message is now the hub's to keep."""
        return self.status == 200


def send(
    signed: Iterable[SignedRequest],
    base_url: str,
    *,
    parallel: int = 16,
    redeliver: bool = False,
    tries: int = 12,
    timeout: float = 15.0,
    on_answer: Callable[[Answer], None] = lambda answer: None,
) -> list[Answer]:
    """Post the requests over ``parallel`` connections; an answer for each, in no order.

    With ``redeliver`` a request that is not answered 200 is posted again, up to ``tries``
    times with growing pauses (10 s at most): as Meta does, and Twilio where it is told to.
    ``on_answer`` is called for each answer, by one thread at a time.
    """
    waiting, lock = iter(signed), threading.Lock()
    answers: list[Answer] = []

    def post_some() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while True:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    return
                answer = _deliver(
                    session, base_url, request, tries if redeliver else 1, timeout
                )
                with lock:
                    answers.append(answer)
                    on_answer(answer)

    with ThreadPoolExecutor(parallel, thread_name_prefix="traffic") as pool:
        for thread in [pool.submit(post_some) for _ in range(parallel)]:
            thread.result()
    return answers


def _deliver(
    session: requests.Session,
    base_url: str,
    request: SignedRequest,
    tries: int,
    timeout: float,
) -> Answer:
    for attempt in range(1, tries + 1):
        answer = _post(session, base_url, request, timeout, attempt)
        if answer.accepted or attempt == tries:
            break
        time.sleep(min(10.0, 0.1 * 2**attempt))
    return answer


def _post(
    session: requests.Session,
    base_url: str,
    request: SignedRequest,
    timeout: float,
    attempt: int,
) -> Answer:
    status, error = 0, ""
    began = time.perf_counter()
    try:
        response = session.request(
            request.method,
            base_url + request.path,
            data=request.body,
            headers=request.headers,
            timeout=timeout,
            allow_redirects=False,
        )
        status = response.status_code
    except requests.RequestException as failure:
        error = f"{type(failure).__name__}: {failure}"
    return Answer(
        request=request,
        status=status,
        seconds=time.perf_counter() - began,
        tries=attempt,
        error=error,
    )


def accepted(ledger: Ledger, answers: Iterable[Answer]) -> Ledger:
    """The part of the ledger that the hub took on: each message with at least one delivery answered
    200.
    """
    return ledger.only(
        id for answer in answers if answer.accepted for id in answer.request.message_ids
    )
