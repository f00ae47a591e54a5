"""Senders that hold their connections open, against a real gunicorn."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from simulator.hub import Hub
from simulator.processes import Process
from tests.messages.mail import ACCOUNTS

# More than a web process has threads.
SENDERS = 300
HEAD = b"POST /webhooks/meta/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SIGNED = (
    HEAD
    + b"X-Hub-Signature-256: sha256="
    + b"0" * 64
    + b"\r\nContent-Length: 1000\r\n\r\n{"
)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("hub")
    hub = Hub(
        directory,
        api_url="http://127.0.0.1:1",
        cdn_host="127.0.0.1:1",
        accounts=ACCOUNTS,
        web_processes=1,
    )
    hub.manage("migrate", "--verbosity", "0")
    server: Process = hub.web
    server.start()
    yield hub
    server.stop()


@pytest.mark.parametrize(
    "begun", [b"", b"P", HEAD, SIGNED], ids=["nothing", "a letter", "a head", "a body"]
)
def test_the_health_check_answers_beside_senders_that_never_end(
    begun: bytes, web: Hub
) -> None:
    with ExitStack() as open_connections:
        for _ in range(SENDERS):
            sender = open_connections.enter_context(
                socket.create_connection(("127.0.0.1", web.port), timeout=60)
            )
            sender.sendall(begun)
        with closing(
            http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
        ) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
