"""Both vendors' servers, played for real: Graph API and lookaside links, Twilio's API and its CDN.

Nothing is registered: an id or link says itself which file it stands for and how old it is
(``file_ids``), so a provider that was killed and started again still answers for all.
Only the counters live in memory. As a process of its own:

    python -m simulator.provider --port 9101 --cdn-port 9102

Messages that the real ones refuse are refused here (``sent_messages``).
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Callable
from types import TracebackType

from simulator.accounts import Accounts
from simulator.content import Kind
from simulator.file_ids import FileId
from simulator.listener import Listener, Request, Response, json_response
from simulator.meta_api import MetaApi
from simulator.twilio_api import TwilioApi
from simulator.vendor_answers import text
from simulator.vendor_state import VendorState

# Longer than any client waits.
LONGEST_SILENCE = 600.0


class SimulatedProvider(VendorState):
    """Two hosts on 127.0.0.1: the API, and the one that links lead to."""

    def __init__(
        self, *, port: int = 0, cdn_port: int = 0, accounts: Accounts | None = None
    ) -> None:
        super().__init__(port=port, cdn_port=cdn_port, accounts=accounts)
        self._meta = MetaApi(self)
        self._twilio = TwilioApi(self)
        self._listeners: list[Listener] = []

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

    def media_id_for(
        self, kind: Kind, seed: int, provider: str = "meta", *, size: int = 0
    ) -> str:
        """The id of a file that a message announces now. ``provider``: meta or twilio."""
        file = FileId(kind, seed, int(self.now()), size)
        if provider == "twilio":
            return file.twilio
        return file.meta

    def meta_link(self, media_id: str) -> str:
        """A fresh link, good for five minutes with the access token."""
        return self._meta.link(media_id)

    def twilio_media_url(self, media_id: str, message_id: str = "MM" + "0" * 32) -> str:
        """What a form names as ``MediaUrl0``."""
        account = self.accounts.twilio_account_sid
        message = f"{self.api_url}/2010-04-01/Accounts/{account}/Messages/{message_id}"
        return f"{message}/Media/{media_id}"

    # --- the API host -------------------------------------------------------

    def _answer_api(self, request: Request) -> Response:
        if request.path == "/simulator":
            return self._control(request)
        return self._fault() or self._unless_silent(self._route(request))

    def _fault(self) -> Response | None:
        """The answer of an account or a service that is in trouble as a whole."""
        if self.down:
            return text(503, "Service unavailable")
        if self.throttled_for:
            return text(
                429, "Too many requests", {"Retry-After": str(self.throttled_for)}
            )
        return None

    def _unless_silent(self, response: Response) -> Response:
        """The response. A silent provider keeps it: ConnectionAbortedError when the silence
        ends.
        """
        if self.silent:
            self.answers.wait(LONGEST_SILENCE)
            raise ConnectionAbortedError("no answer")
        return response

    def _route(self, request: Request) -> Response:
        routes: tuple[
            tuple[str, str, Callable[[Request, re.Match[str]], Response]], ...
        ] = (
            ("GET", r"/v\d+\.\d+/(?P<media>\d+)", self._meta.resolve),
            ("DELETE", r"/v\d+\.\d+/(?P<media>\d+)", self._meta.delete),
            ("POST", r"/v\d+\.\d+/(?P<number>\d+)/messages", self._meta.send),
            (
                "DELETE",
                r"/2010-04-01/Accounts/(?P<account>AC\w+)/Messages/"
                r"(?:\w+/Media/)?(?P<id>\w+)\.json",
                self._twilio.delete,
            ),
            (
                "GET",
                r"/2010-04-01/Accounts/(?P<account>AC\w+)"
                r"/Messages/(?:MM|SM)[0-9a-f]{32}/Media/(?P<media>ME\w+)",
                self._twilio.redirect,
            ),
            (
                "POST",
                r"/2010-04-01/Accounts/(?P<account>AC\w+)/Messages\.json",
                self._twilio.send,
            ),
            (
                "GET",
                r"/2010-04-01/Accounts/(?P<account>AC\w+)/Messages\.json",
                self._twilio.list_messages,
            ),
            (
                "GET",
                r"/2010-04-01/Accounts/(?P<account>AC\w+)"
                r"/Messages/(?P<message>(?:MM|SM)[0-9a-f]{32})/Media\.json",
                self._twilio.list_media,
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
            switches = json.loads(request.body)
            self.down = bool(switches.get("down", self.down))
            self.unauthorised = bool(switches.get("unauthorised", self.unauthorised))
            self.throttled_for = int(switches.get("throttled_for", self.throttled_for))
            self.silent = bool(switches.get("silent", self.silent))
            self.clock_offset = float(switches.get("clock_offset", self.clock_offset))
            self.expired = set(switches.get("expired", self.expired))
        return json_response(200, self.status())

    # --- the host that links lead to -----------------------------------------

    def _answer_cdn(self, request: Request) -> Response:
        return self._fault() or self._unless_silent(self._open(request))

    def _open(self, request: Request) -> Response:
        kind, _, token = request.path.removeprefix("/").partition("/")
        if request.method == "GET" and kind == "links":
            return self._meta.serve(request, token)
        if request.method == "GET" and kind == "cdn":
            return self._twilio.serve(request, token)
        return text(404, "Not found")


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
