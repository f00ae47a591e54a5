"""The bucket: what is asked of the network, and servers that answer in odd ways."""

from __future__ import annotations

import gzip
import ssl
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path

import boto3
import pytest
import requests
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from media_app.storage import CHUNK, DeleteError, S3Storage, Storage, StorageError
from media_app.storage.s3 import MAX_PUT
from media_app.storage.s3.reads import LINK_USED_FOR, MAX_ERROR
from simulator.processes import free_port
from tests.servers import S3_KEY_ID, S3_SECRET
from tests.storage.buckets import KEY, connect, keys, put, read
from tests.storage.wire import answering, counting, response

MB = 1024 * 1024


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_one_byte_of_a_large_object_costs_one_small_answer(
    kind: str, request: pytest.FixtureRequest
) -> None:
    storage: S3Storage = request.getfixturevalue(kind)
    put(storage, content=bytes(20 * MB - 1) + b"!")
    with (
        counting(request.getfixturevalue(f"{kind}_port")) as (port, counter),
        connect(port, storage.bucket) as counted,
    ):
        assert read(counted, start=20 * MB - 1) == b"!"
        assert read(counted, start=0, stop=1) == b"\0"
        assert 0 < counter.received <= 64 * 1024
        assert len(read(counted, start=MB, stop=2 * MB)) == MB
        assert MB < counter.received < MB + 128 * 1024


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_a_copy_has_the_bytes_and_nothing_else_of_its_object(
    kind: str, request: pytest.FixtureRequest
) -> None:
    storage: S3Storage = request.getfixturevalue(kind)
    public = S3Storage(storage.client, f"{storage.bucket}-public")
    storage.client.create_bucket(Bucket=public.bucket)
    put(storage, content=b"a photo", metadata={"record": "her number"})
    headers = {
        "content_type": "image/png",
        "disposition": "inline",
        "cache_control": "no-cache",
    }
    assert public.copy_from(storage.bucket, KEY, to="0000.png", **headers)
    assert not public.copy_from(storage.bucket, "absent.png", to="1111.png", **headers)
    found = public.client.head_object(Bucket=public.bucket, Key="0000.png")
    assert (keys(public), read(public, "0000.png")) == (["0000.png"], b"a photo")
    assert (found["ContentType"], "record" in found["Metadata"]) == ("image/png", False)


# Linux counts the peak of a process's own memory (VmHWM) from its start.
LARGE_FILE = """
import os, sys, tempfile
from tests.servers import S3_KEY_ID, S3_SECRET
from tests.storage.buckets import KEY, connect, put

def peak():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

port, bucket, size = int(sys.argv[1]), sys.argv[2], 100 * 1024 * 1024
with connect(port, bucket) as storage, tempfile.TemporaryFile() as body:
    body.truncate(size)
    put(storage, "small")
    before = peak()
    storage.put(KEY, body, size=size, content_type="video/mp4", metadata={})
    after_put = peak()
    opened = storage.open_range(KEY)
    assert sum(len(chunk) for chunk in opened.chunks()) == size
    opened.close()
    print(after_put - before, peak() - after_put)
"""


def test_a_100_mb_file_passes_through_little_memory(
    rclone: S3Storage, rclone_port: int
) -> None:
    answer = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            LARGE_FILE,
            str(rclone_port),
            rclone.bucket,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    put_kb, read_kb = (int(number) for number in answer.stdout.split())
    assert put_kb < 64 * 1024
    assert read_kb < 64 * 1024


def test_more_than_one_put_may_carry_is_refused(moto: S3Storage) -> None:
    with pytest.raises(ValueError, match="more than one put"):
        moto.put(
            KEY, BytesIO(), size=MAX_PUT + 1, content_type="video/mp4", metadata={}
        )


def test_metadata_names_are_lower_case_whatever_the_server_does(
    rclone: S3Storage,
) -> None:
    put(rclone, metadata={"sha256": "ab"})
    assert (
        "Sha256" in rclone.client.head_object(Bucket=rclone.bucket, Key=KEY)["Metadata"]
    )
    found = rclone.head(KEY)
    assert found is not None
    assert found.metadata == {"sha256": "ab"}


def test_keys_that_others_wrote_are_listed_read_and_deleted(moto: S3Storage) -> None:
    foreign = ["a//b", "a/.hidden", "folder/"]
    for key in foreign:
        moto.client.put_object(Bucket=moto.bucket, Key=key, Body=b"theirs")
    assert keys(moto) == sorted(foreign)
    assert [read(moto, key) for key in foreign] == [b"theirs"] * 3
    moto.delete(foreign)
    assert keys(moto) == []


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_deletes_carry_both_checksums_that_servers_ask_for(
    kind: str, request: pytest.FixtureRequest
) -> None:
    bucket: str = request.getfixturevalue(kind).bucket
    sent: list[AWSPreparedRequest] = []
    with connect(request.getfixturevalue(f"{kind}_port"), bucket) as storage:
        storage.client.meta.events.register(
            "before-send.s3.DeleteObjects",
            lambda request, **kwargs: sent.append(request),
        )
        put(storage)
        storage.delete([KEY])
        assert storage.head(KEY) is None
    assert {"Content-MD5", "x-amz-checksum-crc32"} <= set(sent[0].headers)


def test_a_delete_asks_for_a_thousand_at_a_time(
    moto: S3Storage, moto_port: int
) -> None:
    """S3 refuses more; the servers of these tests do not."""
    sizes: list[int] = []
    with connect(moto_port, moto.bucket) as storage:
        storage.client.meta.events.register(
            "before-send.s3.DeleteObjects",
            lambda request, **kwargs: sizes.append(request.body.count(b"<Key>")),
        )
        storage.delete(f"none/{number}" for number in range(2001))
    assert sizes == [1000, 1000, 1]


def test_an_object_that_remains_is_named() -> None:
    error = b"<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
    answer = b"<DeleteResult>" + error + b"</DeleteResult>"
    with (
        answering(response("200 OK", {"Content-Length": str(len(answer))}, answer)) as (
            port,
            _,
        ),
        connect(port, "media") as storage,
        pytest.raises(DeleteError, match="1 objects remain: AccessDenied") as raised,
    ):
        storage.delete(["a", "b"])
    assert raised.value.keys == ("b",)


@pytest.mark.parametrize("kind", ["moto", "rclone"])
@pytest.mark.parametrize(
    "call",
    [
        put,
        lambda storage: storage.head(KEY),
        lambda storage: storage.open_range(KEY),
        lambda storage: storage.open_range(KEY, 5, 6),
        lambda storage: list(storage.list("")),
        lambda storage: storage.delete([KEY]),
    ],
    ids=["put", "head", "open", "range", "list", "delete"],
)
def test_a_missing_bucket_is_an_error_not_an_absent_object(
    kind: str, call: Callable[[Storage], object], request: pytest.FixtureRequest
) -> None:
    port: int = request.getfixturevalue(f"{kind}_port")
    with (
        connect(port, "no-such-bucket") as storage,
        pytest.raises(StorageError, match=r"NoSuchBucket \(404\)"),
    ):
        call(storage)


def test_a_closed_port_is_an_error_without_address_or_key() -> None:
    with (
        connect(free_port(), "media") as storage,
        pytest.raises(StorageError) as raised,
    ):
        storage.open_range(KEY)
    assert str(raised.value) == "the bucket, get: EndpointConnectionError"


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        ("200 OK", {"Content-Length": "10"}, "whole object to a range"),
        (
            "206 Partial Content",
            {"Content-Length": "10", "Content-Range": "bytes 0-9/10"},
            "another range",
        ),
        (
            "206 Partial Content",
            {"Content-Length": "2", "Content-Range": "bytes 4-5/10"},
            "another range",
        ),
        (
            "206 Partial Content",
            {"Content-Length": "6", "Content-Range": "bytes 4-9/*"},
            "cannot be read",
        ),
        ("404 Not Found", {"Content-Length": "0"}, r"404 \(404\)"),
        ("503 Slow Down", {"Content-Length": "0"}, r"503 \(503\)"),
        ("200 OK", {"Content-Range": "bytes 4-9/10", "Content-Length": "6"}, ""),
    ],
)
def test_only_the_right_range_is_taken(
    status: str, headers: dict[str, str], message: str
) -> None:
    """The status is no proof: rclone answers a range with 200."""
    body = b"0123456789"[: int(headers["Content-Length"])]
    with (
        answering(response(status, headers, body)) as (port, _),
        connect(port, "media") as storage,
    ):
        if message:
            with pytest.raises(StorageError, match=message):
                storage.open_range(KEY, 4, 9)
        else:
            assert read(storage, start=4, stop=9) == body[:5]


def test_a_whole_object_answered_to_its_first_bytes_is_read_no_further() -> None:
    headers = {"Content-Length": "10"}
    with (
        answering(response("200 OK", headers, b"0123456789")) as (port, _),
        connect(port, "media") as storage,
    ):
        opened = storage.open_range(KEY, 0, 4)
        assert opened is not None
        with closing(opened):
            assert (opened.start, opened.stop, opened.total) == (0, 4, 10)
            assert b"".join(opened.chunks()) == b"0123"


def test_an_object_of_unknown_size_is_an_error() -> None:
    with (
        answering(response("200 OK", {}, b"0123456789")) as (port, _),
        connect(port, "media") as storage,
        pytest.raises(StorageError, match="how large"),
    ):
        storage.open_range(KEY)


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "10"}, {"Content-Range": "bytes 0-9/10"}]
)
def test_a_body_cut_short_is_an_error(headers: dict[str, str]) -> None:
    with (
        answering(response("200 OK", headers, b"012345")) as (port, _),
        connect(port, "media") as storage,
    ):
        opened = storage.open_range(KEY)
        assert opened is not None
        with closing(opened), pytest.raises(StorageError, match=r"reading|early"):
            list(opened.chunks())


def test_a_body_that_stalls_is_an_error() -> None:
    headers = {"Content-Length": "10"}
    with (
        answering(response("200 OK", headers, b"012345"), hold=True) as (port, _),
        connect(port, "media", read_timeout=0.3) as storage,
    ):
        opened = storage.open_range(KEY)
        assert opened is not None
        with (
            closing(opened),
            pytest.raises(StorageError, match="reading: ReadTimeoutError"),
        ):
            list(opened.chunks())


@pytest.mark.parametrize(
    "call",
    [lambda storage: list(storage.list("")), lambda storage: storage.delete([KEY])],
    ids=["list", "delete"],
)
def test_a_server_that_speaks_no_s3_is_an_error(
    call: Callable[[Storage], object],
) -> None:
    page = b"<html><body><p>Welcome to the wifi!</body></html>"
    with (
        answering(response("200 OK", {"Content-Length": str(len(page))}, page)) as (
            port,
            _,
        ),
        connect(port, "media") as storage,
        pytest.raises(StorageError),
    ):
        call(storage)


def test_a_body_whose_encryption_breaks_is_an_error(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(self_signed())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with (
        answering(response("200 OK", {"Content-Length": "10"}, b"012345"), tls=tls) as (
            port,
            _,
        ),
        connect(port, "media", certificate=certificate) as storage,
    ):
        opened = storage.open_range(KEY)
        assert opened is not None
        with closing(opened), pytest.raises(StorageError, match="reading: SSLError"):
            list(opened.chunks())


def test_a_read_that_ends_gives_its_connection_back(
    rclone_port: int, rclone: S3Storage
) -> None:
    put(rclone, content=b"x" * 3 * CHUNK)
    with (
        counting(rclone_port) as (port, counter),
        connect(port, rclone.bucket) as storage,
    ):
        for _ in range(3):
            read(storage)
        assert counter.connections == 1


PART = response(
    "206 Partial Content",
    {"Content-Length": "10", "Content-Range": "bytes 0-9/10"},
    b"012345",
)
WHOLE = response(
    "200 OK",
    {
        "Content-Length": "10",
        "Last-Modified": "Wed, 21 Oct 2026 07:28:00 GMT",
        "Content-Type": "image/gif",
    },
)


def test_a_reader_that_leaves_drops_its_connection() -> None:
    with (
        answering(PART, hold=True) as (port, server),
        connect(port, "media") as storage,
    ):
        opened = storage.open_range(KEY, 0, 10)
        assert opened is not None
        opened.close()
        assert server.left.acquire(timeout=60)


def test_a_wrong_range_drops_its_connection() -> None:
    with (
        answering(PART, hold=True) as (port, server),
        connect(port, "media") as storage,
    ):
        with pytest.raises(StorageError, match="another range") as raised:
            storage.open_range(KEY, 3, 5)
        assert server.left.acquire(timeout=60), raised


def test_an_object_that_appears_during_its_head_is_found() -> None:
    missing = response("404 Not Found", {"Content-Length": "0", "Connection": "close"})
    kept: list[object] = []
    with (
        answering(missing, WHOLE, hold=True) as (port, server),
        connect(port, "media") as storage,
    ):
        # Keeps the answer alive: it must be closed, not just forgotten.
        storage.client.meta.events.register(
            "after-call.s3.GetObject", lambda parsed, **kwargs: kept.append(parsed)
        )
        found = storage.head(KEY)
        assert found is not None
        assert (found.size, found.content_type, found.metadata) == (10, "image/gif", {})
        assert all(server.left.acquire(timeout=60) for _ in ("HEAD", "GET"))


# The server of these closes after each answer, and says so: the next request must not go by the
# same connection.
OBJECT = response("200 OK", {"Content-Length": "7", "Connection": "close"}, b"a photo")
SLOW_DOWN = response("503 Slow Down", {"Content-Length": "0", "Connection": "close"})
FORBIDDEN = response("403 Forbidden", {"Content-Length": "0", "Connection": "close"})
EXPIRED_TOKEN = response(
    "400 Bad Request",
    {"Connection": "close"},
    b"<Error><Code>ExpiredToken</Code></Error>",
)
NOT_FOUND = response("404 Not Found", {"Content-Length": "0", "Connection": "close"})


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
        assert [read(storage), read(storage, start=4), read(storage, stop=2)] == [
            b"0123456789",
            b"456789",
            b"01",
        ]
        now[0] = LINK_USED_FOR - 1
        read(storage)
        assert signed == [KEY]
        now[0] = LINK_USED_FOR
        read(storage)
        assert signed == [KEY, KEY]


@pytest.mark.parametrize("refusal", [FORBIDDEN, EXPIRED_TOKEN])
def test_what_is_refused_by_link_is_asked_for_by_signed_headers(refusal: bytes) -> None:
    """boto3 knows the way to other regions, and allows for clocks that differ."""
    with (
        answering(refusal, OBJECT) as (port, server),
        connect(port, "media") as storage,
    ):
        assert read(storage) == b"a photo"
        by_link, by_headers = server.asked
        assert (
            b"X-Amz-Signature=" in by_link
            and b"Authorization: AWS4-HMAC-SHA256" in by_headers
        )


def test_a_refused_link_is_not_used_again() -> None:
    with (
        answering(OBJECT, EXPIRED_TOKEN, OBJECT) as (port, _),
        connect(port, "media") as storage,
    ):
        signed = signings(storage)
        assert [read(storage) for _ in range(3)] == [b"a photo"] * 3
        # For the link, for the headers, and for a new link.
        assert len(signed) == 3


def test_a_refusal_of_both_is_an_answer() -> None:
    with answering(FORBIDDEN) as (port, server), connect(port, "media") as storage:
        with pytest.raises(StorageError, match=r"get: 403 \(403\)"):
            storage.open_range(KEY)
        assert len(server.asked) == 2


@pytest.mark.parametrize("first", [SLOW_DOWN, b""], ids=["503", "closed"])
def test_a_failure_that_may_pass_is_tried_once_more(first: bytes) -> None:
    with (
        answering(first, OBJECT) as (port, server),
        connect(port, "media", attempts=2) as storage,
    ):
        assert read(storage) == b"a photo"
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "attempts", "asked"),
    [(SLOW_DOWN, 2, 2), (SLOW_DOWN, 1, 1), (b"", 2, 2), (b"", 1, 1), (NOT_FOUND, 2, 1)],
    ids=["503", "503, once", "closed", "closed, once", "404"],
)
def test_no_more_is_tried_than_the_client_may(
    answer: bytes, attempts: int, asked: int
) -> None:
    with (
        answering(answer) as (port, server),
        connect(port, "media", attempts=attempts) as storage,
    ):
        with pytest.raises(StorageError):
            storage.open_range(KEY)
        assert len(server.asked) == asked


def test_no_traceback_of_a_failed_read_shows_a_signature() -> None:
    with (
        connect(free_port(), "media", attempts=2) as storage,
        pytest.raises(StorageError) as raised,
    ):
        storage.open_range(KEY)
    shown = "".join(traceback.format_exception(raised.value))
    assert "EndpointConnectionError" in shown
    assert "Signature" not in shown


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_bytes_that_were_put_compressed_come_back_compressed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    storage: S3Storage = request.getfixturevalue(kind)
    packed = gzip.compress(b"a photo")
    storage.client.put_object(
        Bucket=storage.bucket, Key=KEY, Body=packed, ContentEncoding="gzip"
    )
    assert read(storage) == packed


def test_bytes_that_a_server_calls_compressed_are_not_touched() -> None:
    packed = gzip.compress(b"a photo")
    headers = {"Content-Length": str(len(packed)), "Content-Encoding": "gzip"}
    with (
        answering(response("200 OK", headers, packed)) as (port, server),
        connect(port, "media") as storage,
    ):
        assert read(storage) == packed
        assert b"accept-encoding: identity" in server.asked[0].lower()


def test_reads_of_what_is_absent_give_their_connection_back(
    rclone_port: int, rclone: S3Storage
) -> None:
    with (
        counting(rclone_port) as (port, counter),
        connect(port, rclone.bucket) as storage,
    ):
        assert [storage.open_range(KEY) for _ in range(3)] == [None] * 3
        assert counter.connections == 1


def test_an_error_that_explains_without_end_is_read_no_further_and_drops_its_connection() -> (
    None
):
    beginning = b"<Error><Code>NotImplemented</Code>".ljust(MAX_ERROR)
    endless = response("501 Not Implemented", {"Content-Length": "9999999"}, beginning)
    with (
        answering(endless, hold=True) as (port, server),
        connect(port, "media") as storage,
    ):
        with pytest.raises(
            StorageError, match=r"get: NotImplemented \(501\)"
        ) as raised:
            storage.open_range(KEY)
        # The error keeps the answer alive: it must be closed, not just forgotten.
        assert server.left.acquire(timeout=60), raised


def test_an_error_that_breaks_off_is_no_absent_object() -> None:
    cut = response("404 Not Found", {"Content-Length": "100"}, b"<Error>")
    with (
        answering(cut, hold=True) as (port, _),
        connect(port, "media", read_timeout=0.3) as storage,
        pytest.raises(StorageError, match="get: ReadTimeoutError"),
    ):
        storage.open_range(KEY)


def test_a_link_says_of_the_object_what_it_is_told_to(moto: S3Storage) -> None:
    put(moto, content_type="image/jpeg")
    link = moto.url(
        KEY,
        60,
        content_type="application/octet-stream",
        disposition='attachment; filename="a.jpeg"',
    )
    answer = requests.get(link, timeout=60)
    assert (answer.status_code, answer.content) == (200, b"a photo")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.jpeg"'


def test_a_link_lasts_as_long_as_asked_and_lets_nobody_else_in(
    rclone: S3Storage,
) -> None:
    put(rclone)
    link = rclone.url(KEY, 77)
    assert "X-Amz-Expires=77&" in link
    assert (
        requests.get(
            link.replace("X-Amz-Expires=77", "X-Amz-Expires=78"), timeout=60
        ).status_code
        == 403
    )


def test_a_link_on_aws_leads_to_the_buckets_region_with_the_session_it_is_signed_by() -> (
    None
):
    session = boto3.Session(
        S3_KEY_ID, S3_SECRET, "a-session-token", region_name="eu-west-1"
    )
    with closing(
        session.client("s3", config=Config(signature_version="s3v4"))
    ) as client:
        link = S3Storage(client, "media").url(KEY, 60)
    assert link.startswith("https://media.s3.eu-west-1.amazonaws.com/whatsapp")
    assert "X-Amz-Security-Token=a-session-token" in link
    assert "X-Amz-SignedHeaders=host&" in link


def test_a_link_that_cannot_be_signed_is_an_error() -> None:
    with (
        connect(free_port(), "media") as storage,
        pytest.raises(StorageError, match="get: ParamValidationError"),
    ):
        storage.url("", 60)


def self_signed() -> bytes:
    """A key and a certificate for 127.0.0.1, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ) + certificate.public_bytes(Encoding.PEM)
