"""The door as the outside finds it: a real gunicorn, real sockets, and others that are down."""

from __future__ import annotations

import http.client
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from messages_app.providers import provider_of
from simulator.deliveries import TWILIO_PATH, SignedRequest, meta_delivery
from simulator.hub import Hub
from simulator.processes import Process, free_port
from tests.messages.mail import ACCOUNTS, meta_bytes, photo, twilio_form
from tests.servers import postgres_server
from tests.waiting import until

MIB = 1024 * 1024
MAX_BYTES = provider_of("meta").max_bytes


@pytest.fixture(scope="module")
def silent_redis() -> Iterator[str]:
    """Something that takes connections and never says a word: worse than nothing at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture(scope="module")
def running_hub(
    tmp_path_factory: pytest.TempPathFactory, silent_redis: str
) -> Iterator[Hub]:
    """Only the web server of a hub, on SQLite, with one process."""
    hub = make_hub(tmp_path_factory.mktemp("hub"), REDIS_URL=silent_redis)
    hub.manage("migrate", "--verbosity", "0")
    hub.web.start()
    yield hub
    hub.web.stop()


@pytest.fixture
def hub(running_hub: Hub) -> Hub:
    """That hub, with an empty inbox."""
    with (
        closing(sqlite3.connect(running_hub.directory / "db.sqlite3")) as database,
        database,
    ):
        database.execute("DELETE FROM messages_app_delivery")
    return running_hub


def make_hub(directory: Path, **env: str) -> Hub:
    return Hub(
        directory,
        api_url="http://127.0.0.1:1",
        cdn_host="127.0.0.1:1",
        accounts=ACCOUNTS,
        web_processes=1,
        env=env,
    )


def kept(hub: Hub) -> list[bytes]:
    with closing(sqlite3.connect(hub.directory / "db.sqlite3")) as database:
        return [
            body
            for (body,) in database.execute(
                "SELECT body FROM messages_app_delivery ORDER BY received_at"
            )
        ]


def get(hub: Hub, path: str) -> int:
    with closing(
        http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    ) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def post(
    hub: Hub,
    request: SignedRequest,
    chunks: Sequence[bytes] | None = None,
    *,
    timeout: float = 60,
) -> int:
    """Post with a declared length, or in these chunks without one."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=timeout)
    with closing(connection):
        body = iter(chunks) if chunks is not None else request.body
        connection.request(
            "POST",
            request.path,
            body,
            dict(request.headers),
            encode_chunked=chunks is not None,
        )
        return connection.getresponse().status


def raw(
    hub: Hub, request: SignedRequest, framing: str, *parts: bytes, end: bool = False
) -> bytes:
    """All that comes back when the head and these parts are sent as they are, until the hub hangs
    up.

    ``end``: our side is closed after them.
    """
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection(("127.0.0.1", hub.port), timeout=60) as sock:
        sock.sendall(
            f"POST {request.path} HTTP/1.1\r\nHost: "
            f"127.0.0.1\r\n{headers}{framing}\r\n\r\n".encode()
        )
        for part in parts:
            sock.sendall(part)
        if end:
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        while part := sock.recv(65536):
            answer += part
        return answer


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_redis_that_never_answers_holds_no_webhook(hub: Hub) -> None:
    assert post(hub, meta_delivery(ACCOUNTS, [[[photo(1)]]])) == 200
    assert len(kept(hub)) == 1


@pytest.mark.parametrize("size", [1, 100, 64 * 1024, MIB])
def test_a_chunked_body_is_read_wholly_and_its_signature_checked(
    size: int, hub: Hub
) -> None:
    request = meta_bytes(bytes(range(256)) * 12 * (1 + size // 1000))
    chunks = [
        request.body[start : start + size]
        for start in range(0, len(request.body), size)
    ]
    assert post(hub, request, chunks) == 200
    assert kept(hub) == [request.body]
    assert post(hub, request, [*chunks, b"x"]) == 403
    assert post(hub, request, chunks[:-1]) == 403
    assert kept(hub) == [request.body]


@pytest.mark.parametrize(
    "path",
    [
        TWILIO_PATH,
        f"{TWILIO_PATH}?x=%41&y=a+b&z=%C3%BC",
        f"{TWILIO_PATH}?b=1|2&a=2",
        TWILIO_PATH.replace("i", "%69"),
    ],
)
def test_twilios_signature_covers_the_address_as_it_came(path: str, hub: Hub) -> None:
    request = twilio_form(
        {"MessageSid": "SM1", "Body": "é & +"}, path, public_url=hub.url
    )
    assert post(hub, request) == 200
    assert post(hub, replace(request, path=f"{TWILIO_PATH}?x=A&y=a%20b")) == 403
    assert kept(hub) == [request.body]


def test_a_declared_length_over_the_cap_is_answered_413_without_reading_it_all(
    hub: Hub,
) -> None:
    request = meta_bytes(b"x" * (MAX_BYTES + 1))
    answer = raw(
        hub, request, f"Content-Length: {len(request.body)}", request.body[: 2 * MIB]
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert kept(hub) == []


def test_a_chunked_body_over_the_cap_is_answered_413(hub: Hub) -> None:
    request = meta_bytes(b"x" * (MAX_BYTES + 1))
    rest = request.body[: 2 * MIB]
    answer = raw(
        hub, request, "Transfer-Encoding: chunked", chunk(request.body), chunk(rest)
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert kept(hub) == []


def test_a_body_of_exactly_the_cap_is_stored(hub: Hub) -> None:
    request = meta_bytes(b"x" * MAX_BYTES)
    assert post(hub, request, [request.body]) == 200
    assert [len(body) for body in kept(hub)] == [MAX_BYTES]


@pytest.mark.parametrize("broken", [b"zz", b"5\r\nabc", b"-1", b"3\r\nabcXX0\r\n\r\n"])
def test_broken_chunks_are_the_senders_fault(broken: bytes, hub: Hub) -> None:
    framing = "Transfer-Encoding: chunked\r\nConnection: close"
    answer = raw(hub, meta_bytes(b"abc"), framing, broken, end=True)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert kept(hub) == []


def test_a_body_cut_off_is_not_stored(hub: Hub) -> None:
    request = meta_bytes(b"x" * 1000)
    answer = raw(hub, request, "Content-Length: 1000", request.body[:999], end=True)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert kept(hub) == []


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, str]]:
    """A PostgreSQL of this module's own, that a test may stop and start, and its address."""
    port = free_port()
    server = postgres_server(tmp_path_factory.mktemp("postgres"), port)
    server.start()
    yield server, f"postgres://postgres@127.0.0.1:{port}/postgres"
    server.stop()


@pytest.fixture(scope="module")
def hub_on_postgres(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: tuple[Process, str],
    silent_redis: str,
) -> Iterator[Hub]:
    """Only the web server, whose pages wait for a lock as long as it takes."""
    patient = (
        f"{postgres[1]}?options=-c%20lock_timeout=60s%20-c%20statement_timeout=60s"
    )
    hub = make_hub(
        tmp_path_factory.mktemp("hub"), DATABASE_URL=patient, REDIS_URL=silent_redis
    )
    hub.manage("migrate", "--verbosity", "0")
    hub.web.start()
    yield hub
    hub.web.stop()


def test_a_stopped_postgres_is_answered_503_and_its_return_200(
    postgres: tuple[Process, str], hub_on_postgres: Hub
) -> None:
    server, url = postgres
    bodies = [b"first", b"away", b"back"]
    answers = [post(hub_on_postgres, meta_bytes(bodies[0]))]
    server.stop()
    answers.append(post(hub_on_postgres, meta_bytes(bodies[1])))
    server.start()
    answers.append(post(hub_on_postgres, meta_bytes(bodies[2])))
    assert answers == [200, 503, 200]
    with psycopg.connect(url) as database:
        rows = database.execute("SELECT body FROM messages_app_delivery").fetchall()
    assert {body for (body,) in rows} & set(bodies) == {b"first", b"back"}


def test_slow_pages_keep_no_webhook_waiting(
    postgres: tuple[Process, str], hub_on_postgres: Hub
) -> None:
    # More pages than a process has connections, all behind one lock.
    pages, connections, url = 20, 16, postgres[1]
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(url) as rival, psycopg.connect(url, autocommit=True) as watch:
        with ThreadPoolExecutor(pages) as pool:
            rival.execute("LOCK TABLE media_app_media")
            answers = [
                pool.submit(get, hub_on_postgres, f"/media/{uuid4()}/")
                for _ in range(pages)
            ]
            until(lambda: len(watch.execute(waiting).fetchall()) >= connections)
            assert post(hub_on_postgres, meta_bytes(b"meanwhile")) == 200
            rival.rollback()
        assert {answer.result() for answer in answers} <= {404, 503}


def test_a_locked_sqlite_is_answered_503(hub: Hub) -> None:
    requests = [meta_bytes(b"%d" % number) for number in range(3)]
    with closing(
        sqlite3.connect(hub.directory / "db.sqlite3", isolation_level=None)
    ) as rival:
        # Writers that wait 20 s each, one after the other, take longer than these senders wait.
        rival.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(len(requests)) as pool:
            assert set(
                pool.map(lambda request: post(hub, request, timeout=30), requests)
            ) == {503}
        rival.execute("ROLLBACK")
    assert post(hub, requests[0]) == 200
