"""What both vendors share: accounts, switches for drills, counters."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.accounts import Accounts
from simulator.file_ids import FileId, link_token, linked_id
from simulator.ledger import AnnouncedMessage
from simulator.listener import Request, Response
from simulator.processes import free_port
from simulator.vendor_answers import text

#: What ``GET /simulator`` calls itself, so that another server on the port is recognized.
NAME = "mediahub"


@dataclass(frozen=True, kw_only=True, slots=True)
class Send:
    """A message that the business sent through us."""

    provider: str
    to: str
    provider_message_id: str
    #: The request's fields as they came.
    body: Mapping[str, Any]
    sent_at: float = field(default_factory=time.time)

    @property
    def text(self) -> str:
        """What the customer reads, of either vendor."""
        if self.body.get("type") == "interactive":
            return str(self.body["interactive"]["body"]["text"])
        if "text" in self.body:
            return str(self.body["text"]["body"])
        return str(self.body.get("Body", ""))


class VendorState:
    """Thread-safe.

    Drills: ``down`` answers 503 everywhere, ``unauthorised`` refuses all credentials,
    ``throttled_for`` (seconds) answers 429 with this Retry-After everywhere, ``silent``
    does what it is asked and answers nothing, ``expired`` holds media ids that are gone
    before their time, and ``clock_offset`` (seconds) lets ids and links age at once.
    """

    def __init__(
        self, *, port: int = 0, cdn_port: int = 0, accounts: Accounts | None = None
    ) -> None:
        self.accounts = accounts or Accounts()
        self.port = port or free_port()
        self.cdn_port = cdn_port or free_port()
        self.down = False
        self.unauthorised = False
        self.throttled_for = 0
        self.expired: set[str] = set()
        #: The ids of media and messages that the hub has deleted; media are ``expired``, too.
        self.deleted: list[str] = []
        self.clock_offset = 0.0
        #: Times that each file's bytes were served, by media id.
        self.downloads: Counter[str] = Counter()
        self.sends: list[Send] = []
        #: What customers have sent, as Twilio's list of messages has it.
        self.heard: list[AnnouncedMessage] = []
        #: Paths of link requests that carried the account's password to the CDN.
        self.leaks: list[str] = []
        self.unauthorised_calls = 0
        self.answers = threading.Event()
        self.answers.set()
        self.lock = threading.Lock()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cdn_host(self) -> str:
        """As ``META_MEDIA_HOSTS`` and ``TWILIO_MEDIA_HOSTS`` name it."""
        return f"127.0.0.1:{self.cdn_port}"

    @property
    def cdn_url(self) -> str:
        return f"http://{self.cdn_host}"

    @property
    def silent(self) -> bool:
        return not self.answers.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        """Whoever waits for an answer when the silence ends is cut off, and never told."""
        if silent:
            self.answers.clear()
        else:
            self.answers.set()

    def now(self) -> float:
        return time.time() + self.clock_offset

    def replies_to(self, number: str) -> list[str]:
        """The texts that this customer was sent, in order."""
        digits = number.lstrip("+")
        return [send.text for send in list(self.sends) if send.to.endswith(digits)]

    def status(self) -> dict[str, Any]:
        """Switches and counters as ``GET /simulator`` shows them."""
        with self.lock:
            return {
                "simulator": NAME,
                "api_url": self.api_url,
                "cdn_url": self.cdn_url,
                "down": self.down,
                "unauthorised": self.unauthorised,
                "throttled_for": self.throttled_for,
                "silent": self.silent,
                "clock_offset": self.clock_offset,
                "expired": sorted(self.expired),
                "downloads": dict(self.downloads),
                "sends": [asdict(send) for send in self.sends],
                "leaks": list(self.leaks),
                "unauthorised_calls": self.unauthorised_calls,
            }

    def authorizes(self, request: Request, credentials: set[str]) -> bool:
        """Whether the request carries one of these credentials; one that doesn't is counted."""
        authorized = (
            not self.unauthorised
            and request.headers.get("Authorization") in credentials
        )
        if not authorized:
            with self.lock:
                self.unauthorised_calls += 1
        return authorized

    def hear(self, *messages: AnnouncedMessage) -> None:
        """Customers send these by Twilio. A webhook, if there is one, is somebody else's affair."""
        with self.lock:
            self.heard.extend(messages)

    def delete(self, id: str) -> bool:
        """False where it was deleted before."""
        with self.lock:
            is_new = id not in self.deleted
            if is_new:
                self.deleted.append(id)
                self.expired.add(id)
        return is_new

    def record(self, send: Send) -> None:
        with self.lock:
            self.sends.append(send)

    def link(self, folder: str, secret: str, media_id: str) -> str:
        """A fresh link to a file."""
        return (
            f"{self.cdn_url}/{folder}/{link_token(secret, media_id, int(self.now()))}"
        )

    def serve(
        self, secret: str, token: str, *, lifetime: float, otherwise: str
    ) -> Response:
        """The bytes of the file behind a link's token; 404 with these words where the link is not
        ours or too old.
        """
        media_id = linked_id(secret, token, now=self.now(), lifetime=lifetime)
        if media_id is None or (file := FileId.read(media_id)) is None:
            return text(404, otherwise)
        with self.lock:
            self.downloads[media_id] += 1
        content = file.content()
        return Response(
            status=200,
            headers={"Content-Type": content.content_type},
            length=content.size,
            chunks=content.chunks(),
        )
