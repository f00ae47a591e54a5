"""Reads of a bucket whose server answers in odd ways."""

from __future__ import annotations

import gzip
import ssl
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from media_app.storage import CHUNK, DeleteError, S3Storage, Storage, StorageError
from media_app.storage.s3.reads import LINK_USED_FOR, MAX_ERROR
from simulator.processes import free_port
from tests.sources.certificate import self_signed
from tests.storage.buckets import KEY, connect, put, read
from tests.storage.wire import counting, response, served

TEN = {"Content-Length": "10"}
CLOSE = {"Content-Length": "0", "Connection": "close"}


def part(extent: str, size: int = 10) -> dict[str, str]:
    return {"Content-Length": str(size), "Content-Range": f"bytes {extent}"}


PART = response("206 Partial Content", part("0-9/10"), b"012345")
MODIFIED = "Wed, 21 Oct 2026 07:28:00 GMT"
GIF = {"Content-Type": "image/gif", "Last-Modified": MODIFIED}
WHOLE = response("200 OK", {**TEN, **GIF})
# The server of these closes after each answer, and says so: the next request must not go by the
# same connection.
OBJECT = response("200 OK", {"Content-Length": "7", "Connection": "close"}, b"a photo")
SLOW_DOWN = response("503 Slow Down", CLOSE)
FORBIDDEN = response("403 Forbidden", CLOSE)
NOT_FOUND = response("404 Not Found", CLOSE)
EXPIRED_TOKEN = response(
    "400 Bad Request",
    {"Connection": "close"},
    b"<Error><Code>ExpiredToken</Code></Error>",
)


# --- what is taken for an answer ----------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        ("200 OK", TEN, "whole object to a range"),
        ("206 Partial Content", part("0-9/10"), "another range"),
        ("206 Partial Content", part("4-7/10", 4), "another range"),
        ("206 Partial Content", part("4-9/*", 6), "cannot be read"),
        ("404 Not Found", {"Content-Length": "0"}, r"404 \(404\)"),
        ("503 Slow Down", {"Content-Length": "0"}, r"503 \(503\)"),
        ("200 OK", part("4-8/10", 5), ""),
        ("200 OK", part("4-9/10", 6), ""),
    ],
)
def test_only_the_right_range_is_taken(
    status: str, headers: dict[str, str], message: str
) -> None:
    """The status is no proof: rclone answers a range with 200."""
    body = b"0123456789"[: int(headers["Content-Length"])]
    with served(response(status, headers, body)) as (storage, _):
        if message:
            with pytest.raises(StorageError, match=message):
                storage.open_range(KEY, 4, 9)
        else:
            assert read(storage, start=4, stop=9) == body[:5]


def test_a_whole_object_answered_to_its_first_bytes_is_read_no_further() -> None:
    with served(response("200 OK", TEN, b"0123456789")) as (storage, _):
        opened = storage.open_range(KEY, 0, 4)
        assert opened is not None
        assert (opened.start, opened.stop, opened.total) == (0, 4, 10)
        assert b"".join(opened.chunks()) == b"0123"
        opened.close()


@pytest.mark.parametrize(
    ("headers", "hold", "message"),
    [
        ({}, False, "how large"),
        (TEN, False, "reading|early"),
        ({"Content-Range": "bytes 0-9/10"}, False, "reading|early"),
        # It stalls.
        (TEN, True, "reading: ReadTimeoutError"),
    ],
)
def test_a_body_cut_short_is_an_error(
    headers: dict[str, str], hold: bool, message: str
) -> None:
    answer = response("200 OK", headers, b"012345")
    with (
        served(answer, hold=hold, read_timeout=0.3 if hold else 30) as (storage, _),
        pytest.raises(StorageError, match=message),
    ):
        read(storage)


def test_a_body_whose_encryption_breaks_is_an_error(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "certificate.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    answer = response("200 OK", TEN, b"012345")
    with (
        served(answer, tls=tls, certificate=certificate) as (storage, _),
        pytest.raises(StorageError, match="reading: SSLError"),
    ):
        read(storage)


@pytest.mark.parametrize(
    "call",
    [lambda storage: list(storage.list("")), lambda storage: storage.delete([KEY])],
    ids=["list", "delete"],
)
def test_a_server_that_speaks_no_s3_is_an_error(
    call: Callable[[Storage], object],
) -> None:
    page = b"<html><body><p>Welcome to the wifi!</body></html>"
    answer = response("200 OK", {"Content-Length": str(len(page))}, page)
    with served(answer) as (storage, _), pytest.raises(StorageError):
        call(storage)


def test_an_object_that_remains_is_named() -> None:
    error = b"<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    answer = b"<DeleteResult>" + error + b"</DeleteResult>"
    with (
        served(response("200 OK", {"Content-Length": str(len(answer))}, answer)) as (
            storage,
            _,
        ),
        pytest.raises(DeleteError, match="1 objects remain: AccessDenied") as raised,
    ):
        storage.delete(["a", "b"])
    assert raised.value.keys == ("b",)


def test_bytes_that_a_server_calls_compressed_are_not_touched() -> None:
    packed = gzip.compress(b"a photo")
    headers = {"Content-Length": str(len(packed)), "Content-Encoding": "gzip"}
    with served(response("200 OK", headers, packed)) as (storage, server):
        assert read(storage) == packed
        assert b"accept-encoding: identity" in server.asked[0].lower()


def test_an_error_that_breaks_off_is_no_absent_object() -> None:
    cut = response("404 Not Found", {"Content-Length": "100"}, b"<Error>")
    with (
        served(cut, hold=True, read_timeout=0.3) as (storage, _),
        pytest.raises(StorageError, match="get: ReadTimeoutError"),
    ):
        storage.open_range(KEY)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_closed_port_is_an_error_without_address_key_or_signature(
    attempts: int,
) -> None:
    with (
        connect(free_port(), "media", attempts=attempts) as storage,
        pytest.raises(StorageError) as raised,
    ):
        storage.open_range(KEY)
    assert str(raised.value) == "the bucket, get: EndpointConnectionError"
    assert "Signature" not in "".join(traceback.format_exception(raised.value))


# --- connections --------------------------------------------------------------------------


@pytest.mark.parametrize("is_there", [True, False])
def test_a_read_that_ends_gives_its_connection_back(
    rclone_port: int, rclone: S3Storage, is_there: bool
) -> None:
    if is_there:
        put(rclone, content=b"x" * 3 * CHUNK)
    with (
        counting(rclone_port) as (port, counter),
        connect(port, rclone.bucket) as storage,
    ):
        for _ in range(3):
            if is_there:
                read(storage)
            else:
                assert storage.open_range(KEY) is None
        assert counter.connections == 1


def test_a_reader_that_leaves_drops_its_connection() -> None:
    with served(PART, hold=True) as (storage, server):
        opened = storage.open_range(KEY, 0, 10)
        assert opened is not None
        opened.close()
        assert server.left.acquire(timeout=60)


def test_a_wrong_range_drops_its_connection() -> None:
    with served(PART, hold=True) as (storage, server):
        with pytest.raises(StorageError, match="another range") as raised:
            storage.open_range(KEY, 3, 5)
        assert server.left.acquire(timeout=60), raised


def test_an_endless_error_is_read_no_further_and_drops_its_connection() -> None:
    beginning = b"<Error><Code>NotImplemented</Code>".ljust(MAX_ERROR)
    endless = response("501 Not Implemented", {"Content-Length": "9999999"}, beginning)
    with served(endless, hold=True) as (storage, server):
        with pytest.raises(StorageError, match=r"NotImplemented \(501\)") as raised:
            storage.open_range(KEY)
        # The error keeps the answer alive: it must be closed, not just forgotten.
        assert server.left.acquire(timeout=60), raised


def test_an_object_that_appears_during_its_head_is_found() -> None:
    kept: list[object] = []
    with served(NOT_FOUND, WHOLE, hold=True) as (storage, server):
        # Keeps the answer alive: it must be closed, not just forgotten.
        storage.client.meta.events.register(
            "after-call.s3.GetObject", lambda parsed, **kwargs: kept.append(parsed)
        )
        found = storage.head(KEY)
        assert found is not None
        assert (found.size, found.content_type, found.metadata) == (10, "image/gif", {})
        assert all(server.left.acquire(timeout=60) for _ in ("HEAD", "GET"))


# --- signed once, and tried again ---------------------------------------------------------


def signings(storage: S3Storage) -> list[str]:
    """The keys that links are signed for from now on."""
    signed: list[str] = []
    storage.client.meta.events.register(
        "provide-client-params.s3.GetObject",
        lambda params, **kwargs: signed.append(params["Key"]),
    )
    return signed


def test_a_link_is_signed_once_and_anew_after_half_its_time(
    rclone: S3Storage, rclone_port: int
) -> None:
    now = [0.0]
    with connect(rclone_port, rclone.bucket) as connected:
        storage = S3Storage(connected.client, rclone.bucket, clock=lambda: now[0])
        signed = signings(storage)
        put(storage, content=b"0123456789")
        assert (read(storage, start=4), read(storage, stop=2)) == (b"456789", b"01")
        now[0] = LINK_USED_FOR - 1
        read(storage)
        assert signed == [KEY]
        now[0] = LINK_USED_FOR
        read(storage)
        assert signed == [KEY, KEY]


@pytest.mark.parametrize("refusal", [FORBIDDEN, EXPIRED_TOKEN])
def test_what_is_refused_by_link_is_asked_for_by_signed_headers(refusal: bytes) -> None:
    """boto3 knows the way to other regions, and allows for clocks that differ."""
    with served(refusal, OBJECT) as (storage, server):
        assert read(storage) == b"a photo"
        by_link, by_headers = server.asked
        assert b"X-Amz-Signature=" in by_link
        assert b"Authorization: AWS4-HMAC-SHA256" in by_headers


def test_a_refused_link_is_not_used_again() -> None:
    with served(OBJECT, EXPIRED_TOKEN, OBJECT) as (storage, _):
        signed = signings(storage)
        assert [read(storage) for _ in range(3)] == [b"a photo"] * 3
        # For the link, for the headers, and for a new link.
        assert len(signed) == 3


@pytest.mark.parametrize("first", [SLOW_DOWN, b""], ids=["503", "closed"])
def test_a_failure_that_may_pass_is_tried_once_more(first: bytes) -> None:
    with served(first, OBJECT, attempts=2) as (storage, server):
        assert read(storage) == b"a photo"
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "attempts", "asked"),
    [
        (SLOW_DOWN, 2, 2),
        (SLOW_DOWN, 1, 1),
        (b"", 2, 2),
        (b"", 1, 1),
        (NOT_FOUND, 2, 1),
        # By link and by headers: then it is an answer.
        (FORBIDDEN, 1, 2),
    ],
)
def test_no_more_is_tried_than_the_client_may(
    answer: bytes, attempts: int, asked: int
) -> None:
    with served(answer, attempts=attempts) as (storage, server):
        with pytest.raises(StorageError):
            storage.open_range(KEY)
        assert len(server.asked) == asked
