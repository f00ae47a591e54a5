"""Both vendors' servers, played for real: Graph API and lookaside links, Twilio's API and its CDN.

Nothing is registered: an id or link says itself which file it stands for and how old it is
(``file_ids``), so a provider that was killed and started again still answers for all.
Only the counters live in memory. As a process of its own:

    python -m simulator.provider --port 9101 --cdn-port 9102

Messages that the real ones refuse are refused here (``sent_messages``).

Sources:
developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media,
www.twilio.com/docs/messaging/api/media-resource.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from simulator.accounts import Accounts
from simulator.content import Kind
from simulator.file_ids import FileId, link_token, linked_id
from simulator.listener import Listener, Request, Response, json_response
from simulator.processes import free_port
from simulator.sent_messages import meta_fault, twilio_fault

META_ID_SECONDS = 7 * 24 * 3600
META_LINK_SECONDS = 5 * 60
TWILIO_LINK_SECONDS = 4 * 3600
# Longer than any client waits.
LONGEST_SILENCE = 600.0

#: What ``GET /simulator`` calls itself, so that a stranger on the port is told apart.
NAME = "mediahub"


@dataclass(frozen=True, kw_only=True, slots=True)
class Send:
    """A message that the business sent through us."""

    provider: str
    to: str
    provider_message_id: str
    #: The request's fields as they came.
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        """What the customer reads, of either vendor."""
        if self.body.get("type") == "interactive":
            return str(self.body["interactive"]["body"]["text"])
        return str(
            self.body["text"]["body"]
            if "text" in self.body
            else self.body.get("Body", "")
        )


class SimulatedProvider:
    """Two hosts on 127.0.0.1: the API, and the one that links lead to. Thread-safe.

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
        self.clock_offset = 0.0
        #: Times that each file's bytes were served, by media id.
        self.downloads: Counter[str] = Counter()
        self.sends: list[Send] = []
        #: Paths of link requests that carried the account's password to the CDN.
        self.leaks: list[str] = []
        self.unauthorised_calls = 0
        self._answers = threading.Event()
        self._answers.set()
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    # --- life ---------------------------------------------------------------

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

    def start(self) -> None:
        """Raises OSError when a port is taken."""
        api = Listener(self.port, self._answer_api)
        try:
            cdn = Listener(self.cdn_port, self._answer_cdn)
        except OSError:
            api.server_close()
            raise
        self._listeners = [api, cdn]
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Stop answering; ``start()`` opens the same ports again."""
        while self._listeners:
            self._listeners.pop().stop()

    def __enter__(self) -> SimulatedProvider:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- what callers ask in the same process ------------------------------------

    @property
    def silent(self) -> bool:
        return not self._answers.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        """Whoever waits for an answer when the silence ends is cut off, and never told."""
        if silent:
            self._answers.clear()
        else:
            self._answers.set()

    def now(self) -> float:
        return time.time() + self.clock_offset

    def media_id_for(
        self, kind: Kind, seed: int, provider: str = "meta", *, size: int = 0
    ) -> str:
        """The id of a file that a message announces now. ``provider``: meta or twilio."""
        file = FileId(kind, seed, int(self.now()), size)
        return file.twilio if provider == "twilio" else file.meta

    def meta_link(self, media_id: str) -> str:
        """A fresh link, good for five minutes with the access token."""
        token = link_token(self.accounts.meta_app_secret, media_id, int(self.now()))
        return f"{self.cdn_url}/links/{token}"

    def twilio_media_url(self, media_id: str, message_id: str = "MM" + "0" * 32) -> str:
        """What a form names as ``MediaUrl0``."""
        account = self.accounts.twilio_account_sid
        message = f"{self.api_url}/2010-04-01/Accounts/{account}/Messages/{message_id}"
        return f"{message}/Media/{media_id}"

    def replies_to(self, number: str) -> list[str]:
        """The texts that this customer was sent, in order."""
        digits = number.lstrip("+")
        return [send.text for send in list(self.sends) if send.to.endswith(digits)]

    def status(self) -> dict[str, Any]:
        """Switches and counters as ``GET /simulator`` shows them."""
        with self._lock:
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

    # --- the API host -------------------------------------------------------

    def _answer_api(self, request: Request) -> Response:
        if request.path == "/simulator":
            return self._control(request)
        return self._fault() or self._heard(self._route(request))

    def _fault(self) -> Response | None:
        """The answer of an account or a service that is in trouble as a whole."""
        if self.down:
            return _text(503, "Service unavailable")
        if self.throttled_for:
            return _text(
                429, "Too many requests", {"Retry-After": str(self.throttled_for)}
            )
        return None

    def _heard(self, response: Response) -> Response:
        """The response. A silent provider keeps it: ConnectionAbortedError when the silence
        ends.
        """
        if self.silent:
            self._answers.wait(LONGEST_SILENCE)
            raise ConnectionAbortedError("no answer")
        return response

    def _route(self, request: Request) -> Response:
        routes: tuple[
            tuple[str, str, Callable[[Request, re.Match[str]], Response]], ...
        ] = (
            ("GET", r"/v\d+\.\d+/(?P<media>\d+)", self._resolve),
            ("POST", r"/v\d+\.\d+/(?P<number>\d+)/messages", self._send_meta),
            (
                "GET",
                r"/2010-04-01/Accounts/(?P<account>AC\w+)"
                r"/Messages/(?:MM|SM)[0-9a-f]{32}/Media/(?P<media>ME\w+)",
                self._redirect,
            ),
            (
                "POST",
                r"/2010-04-01/Accounts/(?P<account>AC\w+)/Messages\.json",
                self._send_twilio,
            ),
        )
        for method, pattern, answer in routes:
            if method == request.method and (
                match := re.fullmatch(pattern, request.path, re.ASCII)
            ):
                return answer(request, match)
        return json_response(
            404, {"error": {"message": f"No such endpoint: {request.path}"}}
        )

    def _control(self, request: Request) -> Response:
        """GET shows; POST with some of the switches as JSON sets them."""
        if request.method == "POST":
            wishes = json.loads(request.body)
            self.down = bool(wishes.get("down", self.down))
            self.unauthorised = bool(wishes.get("unauthorised", self.unauthorised))
            self.throttled_for = int(wishes.get("throttled_for", self.throttled_for))
            self.silent = bool(wishes.get("silent", self.silent))
            self.clock_offset = float(wishes.get("clock_offset", self.clock_offset))
            self.expired = set(wishes.get("expired", self.expired))
        return json_response(200, self.status())

    def _resolve(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_token(request):
            return _refused_by_meta()
        media_id = match["media"]
        file = FileId.read(media_id)
        if (
            file is None
            or media_id in self.expired
            or self.now() - file.sent_at > META_ID_SECONDS
        ):
            return _meta_error(
                400,
                100,
                f"Unsupported get request. Object with ID '{media_id}' does not exist, cannot "
                "be loaded due to"
                " missing permissions, or does not support this operation.",
                subcode=33,
            )
        content = file.content()
        return json_response(
            200,
            {
                "messaging_product": "whatsapp",
                "url": self.meta_link(media_id),
                "mime_type": content.content_type,
                "sha256": content.sha256,
                "file_size": content.size,
                "id": media_id,
            },
        )

    def _send_meta(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_token(request):
            return _refused_by_meta()
        body = _json_object(request.body)
        if (
            match["number"] != self.accounts.meta_phone_number_id
            or body.get("messaging_product") != "whatsapp"
        ):
            return _meta_error(400, 100, "Invalid parameter")
        if body.get("status") == "read":
            return json_response(200, {"success": True})
        if fault := meta_fault(body):
            return _meta_error(400, 100, f"(#100) {fault}")
        to = str(body.get("to") or body["recipient"])
        message_id = f"wamid.{b64encode(uuid4().bytes).decode()}"
        self._record(
            Send(provider="meta", to=to, provider_message_id=message_id, body=body)
        )
        return json_response(
            200,
            {
                "messaging_product": "whatsapp",
                "contacts": [
                    {"input": to, "wa_id": to.lstrip("+")}
                    if body.get("to")
                    else {"input": to, "user_id": to}
                ],
                "messages": [{"id": message_id}],
            },
        )

    def _redirect(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_password(request):
            return _refused_by_twilio()
        media_id = match["media"]
        known = (
            match["account"] == self.accounts.twilio_account_sid
            and FileId.read(media_id) is not None
        )
        if not known or media_id in self.expired:
            return _twilio_error(
                404, 20404, f"The requested resource {request.path} was not found"
            )
        token = link_token(self.accounts.twilio_auth_token, media_id, int(self.now()))
        return Response(status=307, headers={"Location": f"{self.cdn_url}/cdn/{token}"})

    def _send_twilio(self, request: Request, match: re.Match[str]) -> Response:
        if not self._bears_password(request):
            return _refused_by_twilio()
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if match["account"] != self.accounts.twilio_account_sid:
            return _twilio_error(
                404, 20404, f"The requested resource {request.path} was not found"
            )
        if fault := twilio_fault(form, self.accounts.twilio_number):
            return _twilio_error(400, *fault)
        message_id = f"SM{uuid4().hex}"
        self._record(
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

    # --- the host that links lead to -----------------------------------------

    def _answer_cdn(self, request: Request) -> Response:
        return self._fault() or self._heard(self._open(request))

    def _open(self, request: Request) -> Response:
        door, _, token = request.path.removeprefix("/").partition("/")
        if request.method == "GET" and door == "links":
            return self._serve_link(request, token)
        if request.method == "GET" and door == "cdn":
            return self._serve_cdn(request, token)
        return _text(404, "Not found")

    def _serve_link(self, request: Request, token: str) -> Response:
        if not self._bears_token(request):
            return _text(401, "Authentication failed")
        return self._serve(
            linked_id(
                self.accounts.meta_app_secret,
                token,
                now=self.now(),
                lifetime=META_LINK_SECONDS,
            ),
            "URL signature expired",
        )

    def _serve_cdn(self, request: Request, token: str) -> Response:
        if request.headers.get("Authorization") is not None:
            with self._lock:
                self.leaks.append(request.path)
            return _text(400, "Only one auth mechanism allowed")
        return self._serve(
            linked_id(
                self.accounts.twilio_auth_token,
                token,
                now=self.now(),
                lifetime=TWILIO_LINK_SECONDS,
            ),
            "Request has expired",
        )

    def _serve(self, media_id: str | None, otherwise: str) -> Response:
        file = FileId.read(media_id) if media_id is not None else None
        if media_id is None or file is None:
            return _text(404, otherwise)
        with self._lock:
            self.downloads[media_id] += 1
        content = file.content()
        return Response(
            status=200,
            headers={"Content-Type": content.content_type},
            length=content.size,
            chunks=content.chunks(),
        )

    # --- who may ------------------------------------------------------------------

    def _bears_token(self, request: Request) -> bool:
        return self._admits(request, {f"Bearer {self.accounts.meta_access_token}"})

    def _bears_password(self, request: Request) -> bool:
        pairs = [(self.accounts.twilio_account_sid, self.accounts.twilio_auth_token)]
        if self.accounts.twilio_api_key:
            pairs.append(
                (self.accounts.twilio_api_key, self.accounts.twilio_api_secret)
            )
        return self._admits(
            request,
            {f"Basic {b64encode(':'.join(pair).encode()).decode()}" for pair in pairs},
        )

    def _admits(self, request: Request, credentials: set[str]) -> bool:
        admitted = (
            not self.unauthorised
            and request.headers.get("Authorization") in credentials
        )
        if not admitted:
            with self._lock:
                self.unauthorised_calls += 1
        return admitted

    def _record(self, send: Send) -> None:
        with self._lock:
            self.sends.append(send)


def _meta_error(
    status: int, code: int, message: str, *, subcode: int | None = None
) -> Response:
    error: dict[str, Any] = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": uuid4().hex[:22],
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    return json_response(status, {"error": error})


def _refused_by_meta() -> Response:
    return _meta_error(
        401, 190, "Invalid OAuth access token - Cannot parse access token"
    )


def _twilio_error(
    status: int, code: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_response(
        status,
        {"code": code, "message": message, "more_info": more, "status": status},
        headers,
    )


def _refused_by_twilio() -> Response:
    return _twilio_error(
        401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'}
    )


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    body = f"{text}\n".encode()
    headers = {"Content-Type": "text/plain", **(headers or {})}
    return Response(status=status, headers=headers, length=len(body), chunks=(body,))


def _json_object(body: bytes) -> dict[str, Any]:
    """What a JSON body says; nothing where it is no object."""
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, with the secrets of the environment."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.provider", description=__doc__
    )
    parser.add_argument(
        "--port", type=int, required=True, help="the API host's port on 127.0.0.1"
    )
    parser.add_argument(
        "--cdn-port",
        type=int,
        required=True,
        help="the port of the host that links lead to",
    )
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    provider = SimulatedProvider(
        port=options.port,
        cdn_port=options.cdn_port,
        accounts=Accounts.from_environment(),
    )
    with provider:
        sys.stdout.write(
            f"Providers on {provider.api_url}, files on {provider.cdn_url}\n"
        )
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
