from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.test import RequestFactory

from media_app.responses.ranges import ByteRange
from media_app.responses.response import File, evaluate, extent, send, send_as_it_comes
from media_app.storage import StorageError

BODY = bytes(range(250)) * 4
FILE = File(
    size=len(BODY),
    content_type="image/jpeg",
    etag='"the-tag"',
    last_modified=datetime(2026, 11, 1, 12, 0, 0, 654321, tzinfo=UTC),
    filename="a.jpeg",
    is_inline=True,
    max_age=3600,
)
EMPTY = replace(FILE, size=0)


@dataclass
class Part:
    """An opened object of a storage, or a file that is still coming."""

    start: int = 0
    stop: int = len(BODY)
    total: int = len(BODY)
    #: After so many bytes the storage breaks off.
    breaks_at: int | None = None
    closed: bool = False
    file: None = None

    def chunks(self) -> Iterator[bytes]:
        for position in range(self.start, self.stop, 100):
            if self.breaks_at is not None and position >= self.breaks_at:
                raise StorageError("broke off")
            yield BODY[position : min(position + 100, self.stop)]

    def close(self) -> None:
        self.closed = True


def asked(method: str = "GET", **headers: str) -> HttpRequest:
    return RequestFactory().generic(
        method,
        "/",
        headers={name.replace("_", "-"): said for name, said in headers.items()},
    )


def evaluated(
    file: File = FILE, method: str = "GET", **headers: str
) -> HttpResponseBase:
    answer = evaluate(asked(method, **headers), file)
    assert isinstance(answer, HttpResponseBase)
    return answer


def body(response: StreamingHttpResponse) -> bytes:
    return b"".join(response.streaming_content)  # type: ignore[arg-type]


# --- what is evaluated without the file ---------------------------------------------------


def test_the_whole_and_a_part_need_bytes() -> None:
    assert evaluate(asked(), FILE) is None
    assert evaluate(asked(Range="bytes=10-19"), FILE) == ByteRange(10, 20)
    assert evaluate(asked(Range="bytes=0-9,20-29"), FILE) is None


@pytest.mark.parametrize(
    "headers", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=1000-"}]
)
def test_head_tells_of_the_whole(headers: dict[str, str]) -> None:
    response = evaluated(FILE, "HEAD", **headers)
    assert (response.status_code, response["Content-Length"]) == (200, "1000")
    assert "Content-Range" not in response
    assert response["Accept-Ranges"] == "bytes"


def test_a_range_outside_is_416_and_is_not_kept() -> None:
    response = evaluated(Range="bytes=1000-")
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */1000")
    assert response["Cache-Control"] == "no-store"


def test_an_empty_file_has_no_first_byte() -> None:
    response = evaluated(EMPTY, Range="bytes=0-")
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */0")
    assert evaluate(asked(Range="bytes=-5"), EMPTY) is None


def test_what_the_reader_has_is_not_sent_again() -> None:
    unchanged = evaluated(If_Modified_Since="Sun, 01 Nov 2026 12:00:00 GMT")
    assert unchanged.status_code == 304
    response = evaluated(If_None_Match='"the-tag"', Range="bytes=1000-")
    assert (response.status_code, response["ETag"]) == (304, '"the-tag"')
    assert response["Cache-Control"] == "private, max-age=3600"
    assert response["Vary"] == "Cookie"


def test_conditions_that_do_not_hold_are_412() -> None:
    assert evaluated(If_Match='"other"', Range="bytes=0-9").status_code == 412
    assert (
        evaluated(If_Unmodified_Since="Sat, 31 Oct 2026 12:00:00 GMT").status_code
        == 412
    )


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        ('"the-tag"', True),
        ('"other"', False),
        ('W/"the-tag"', False),
        ("Sun, 01 Nov 2026 12:00:00 GMT", True),
        ("Sun, 01 Nov 2026 12:00:01 GMT", False),
        ("Sun, 01 Nov 2026 11:59:59 GMT", False),
        ("garbage", False),
    ],
)
def test_a_part_of_another_version_is_the_whole(if_range: str, applies: bool) -> None:
    assert evaluate(asked(Range="bytes=0-9", If_Range=if_range), FILE) == (
        ByteRange(0, 10) if applies else None
    )
    if not applies:
        assert evaluate(asked(Range="bytes=1000-", If_Range=if_range), FILE) is None


def test_no_more_is_opened_than_is_sent() -> None:
    assert extent(FILE, ByteRange(10, 20)) == (10, 20)
    assert extent(FILE, None) == (0, 1000)
    assert extent(EMPTY, None) == (0, 0)


def test_a_file_says_how_it_may_be_kept_and_played() -> None:
    assert replace(FILE, etag="").headers()["Cache-Control"] == "no-store"
    assert "media-src" not in FILE.headers()["Content-Security-Policy"]
    film = replace(FILE, content_type="video/mp4")
    assert "media-src 'self'; sandbox" in film.headers()["Content-Security-Policy"]


# --- what is sent -----------------------------------------------------------------------


def test_the_whole_file() -> None:
    response = send(FILE, None, Part())
    assert (
        response.status_code,
        response["Content-Length"],
        response["Accept-Ranges"],
    ) == (200, "1000", "bytes")
    assert (response["ETag"], response["Last-Modified"]) == (
        '"the-tag"',
        "Sun, 01 Nov 2026 12:00:00 GMT",
    )
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == 'inline; filename="a.jpeg"'
    assert body(response) == BODY


def test_a_part_of_it() -> None:
    response = send(FILE, ByteRange(10, 20), Part(10, 20))
    assert (response.status_code, response["Content-Length"]) == (206, "10")
    assert response["Content-Range"] == "bytes 10-19/1000"
    assert body(response) == BODY[10:20]


def test_a_range_of_all_is_a_range() -> None:
    response = send(FILE, ByteRange(0, 1000), Part())
    assert (response.status_code, response["Content-Range"]) == (
        206,
        "bytes 0-999/1000",
    )


def test_an_empty_file_is_an_empty_answer() -> None:
    response = send(EMPTY, None, Part(0, 0, 0))
    assert (response.status_code, response["Content-Length"], body(response)) == (
        200,
        "0",
        b"",
    )


@pytest.mark.parametrize("part", [None, ByteRange(0, 1), ByteRange(900, 1000)])
@pytest.mark.parametrize("total", [1, 899, 1001])
def test_an_object_of_another_length_is_an_error_and_never_half_an_answer(
    part: ByteRange | None, total: int
) -> None:
    opened = Part(*extent(FILE, part), total=total)
    with pytest.raises(StorageError):
        send(FILE, part, opened)
    assert opened.closed


def test_a_storage_that_breaks_off_at_once_is_known_before_the_answer_begins() -> None:
    opened = Part(breaks_at=0)
    with pytest.raises(StorageError):
        send(FILE, None, opened)
    assert opened.closed


def test_a_storage_that_breaks_off_later_ends_the_answer_with_an_error() -> None:
    response = send(FILE, None, Part(breaks_at=500))
    with pytest.raises(StorageError):
        body(response)


# Closing a response ends a request, and with it the connections to the database.
@pytest.mark.django_db(transaction=True)
def test_the_object_is_closed_when_the_reader_is_gone() -> None:
    opened = Part()
    response = send(FILE, None, opened)
    next(iter(response))
    response.close()
    assert opened.closed


@pytest.mark.django_db(transaction=True)
def test_what_is_not_known_to_be_right_is_neither_tagged_nor_cut_nor_kept() -> None:
    arriving = Part()
    response = send_as_it_comes(replace(FILE, etag=""), arriving)
    assert (
        response.status_code,
        response["Content-Length"],
        response["Accept-Ranges"],
    ) == (200, "1000", "none")
    assert response["Cache-Control"] == "no-store"
    assert "ETag" not in response and "Last-Modified" not in response
    assert body(response) == BODY
    response.close()
    assert arriving.closed
