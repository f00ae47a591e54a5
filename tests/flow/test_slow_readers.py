"""Readers that stop reading, in numbers above PostgreSQL's pool, before one web process."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import requests

from simulator.burst import Burst
from simulator.hub import Hub
from simulator.posting import send
from tests.hubs import running_hub
from tests.waiting import until

# A process has 16 connections to the database.
READERS = 20
# More than the kernel takes in for a reader that does not read.
DOCUMENT_BYTES = 12 * 1024 * 1024


def test_slow_readers_take_no_database_connection_from_webhooks(tmp_path: Path) -> None:
    with (
        running_hub(tmp_path, database="postgres", web_processes=1) as hub,
        ExitStack() as readers,
    ):
        path, cookie = _stored_document(hub), _signed_in(hub)
        began = [_begin_to_read(hub, path, cookie, readers) for _ in range(READERS)]
        assert set(began) == {b"HTTP/1.1 200 OK"}
        signed, _ = Burst(
            photos=1, senders=1, duplicates=1, seed=2, public_url=hub.url
        ).build()
        (answer,) = send(signed, hub.url, timeout=60)
        assert (answer.status, answer.error) == (200, "")
        assert requests.get(f"{hub.url}/readyz", timeout=60).status_code == 200


def _stored_document(hub: Hub) -> str:
    """The address of a file that came in large."""
    burst = Burst(
        photos=0,
        senders=1,
        duplicates=1,
        mix=True,
        document_bytes=DOCUMENT_BYTES,
        public_url=hub.url,
    )
    signed, _ = burst.build()
    assert {answer.status for answer in send(signed, hub.url)} == {200}
    large = (
        f"Media.objects.filter(state='stored', size={DOCUMENT_BYTES}).values_list('id', "
        "flat=True)"
    )
    look = f"from media_app.models import Media; print(*{large})"
    return f"/media/{until(lambda: hub.manage('shell', '--no-imports', '-c', look).strip())}/"


def _signed_in(hub: Hub) -> str:
    """The cookie of a superuser's session."""
    hub.manage(
        "createsuperuser",
        "--noinput",
        DJANGO_SUPERUSER_USERNAME="root",
        DJANGO_SUPERUSER_PASSWORD="root",
        DJANGO_SUPERUSER_EMAIL="root@example.com",
    )
    with requests.Session() as session:
        login = f"{hub.url}/admin/login/"
        session.get(login, timeout=60)
        form = {
            "username": "root",
            "password": "root",
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
        }
        session.post(login, data=form, headers={"Referer": login}, timeout=60)
        return f"sessionid={session.cookies['sessionid']}"


def _begin_to_read(hub: Hub, path: str, cookie: str, readers: ExitStack) -> bytes:
    """Ask for the file, read the status line, and leave the rest on the wire until the test
    ends.
    """
    reader = readers.enter_context(socket.socket())
    reader.settimeout(60)
    # Set before it connects: then the server's window is small from the start.
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", hub.port))
    reader.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
    )
    return reader.recv(1024).partition(b"\r\n")[0]
