from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.http import StreamingHttpResponse

from media_app.delivery.response import respond
from media_app.storage import StorageError

BODY = bytes(range(250)) * 4


@dataclass
class Part:
    start: int
    stop: int
    total: int
    closed: bool = False

    def chunks(self) -> Iterator[bytes]:
        yield BODY[self.start : self.stop]

    def close(self) -> None:
        self.closed = True


@dataclass
class Store:
    """A storage of one object, which remembers what was opened."""

    total: int = len(BODY)
    opened: list[Part] = field(default_factory=list)

    def __call__(self, start: int, stop: int) -> Part:
        if start and start >= self.total:
            raise ValueError
        self.opened.append(Part(start, min(stop, self.total), self.total))
        return self.opened[-1]


def answer(store: Store, range_header: str | None = None, *, method: str = "GET", total: int = len(BODY)):  # type: ignore[no-untyped-def]
    return respond(method=method, range_header=range_header, total=total, content_type="image/jpeg", open_bytes=store)


def test_the_whole_file() -> None:
    response = answer(Store())
    assert (response.status_code, response["Content-Length"], response["Accept-Ranges"]) == (200, "1000", "bytes")
    assert b"".join(response.streaming_content) == BODY


def test_a_range_opens_no_more_than_was_asked() -> None:
    store = Store()
    response = answer(store, "bytes=10-19")
    assert (response.status_code, response["Content-Length"]) == (206, "10")
    assert response["Content-Range"] == "bytes 10-19/1000"
    assert b"".join(response.streaming_content) == BODY[10:20]
    assert [(part.start, part.stop) for part in store.opened] == [(10, 20)]


def test_a_range_of_all_is_a_range() -> None:
    response = answer(Store(), "bytes=0-")
    assert (response.status_code, response["Content-Range"]) == (206, "bytes 0-999/1000")


@pytest.mark.parametrize("range_header", [None, "bytes=0-9", "bytes=1000-"])
def test_head_tells_of_the_whole_and_opens_nothing(range_header: str | None) -> None:
    store = Store()
    response = answer(store, range_header, method="HEAD")
    assert (response.status_code, response["Content-Length"], response.content) == (200, "1000", b"")
    assert "Content-Range" not in response
    assert store.opened == []


def test_a_range_outside_is_416_and_opens_nothing() -> None:
    store = Store()
    response = answer(store, "bytes=1000-")
    assert (response.status_code, response["Content-Range"], response.content) == (416, "bytes */1000", b"")
    assert response["Cache-Control"] == "no-store"
    assert store.opened == []


def test_an_empty_file_is_an_empty_answer() -> None:
    response = answer(Store(total=0), total=0)
    assert (response.status_code, response["Content-Length"]) == (200, "0")


def test_an_absent_object_is_none() -> None:
    assert (
        respond(
            method="GET", range_header=None, total=1, content_type="image/jpeg", open_bytes=lambda start, stop: None
        )
        is None
    )


@pytest.mark.parametrize("range_header", [None, "bytes=0-0", "bytes=900-", "bytes=-1"])
@pytest.mark.parametrize("total", [1, 899, 1001])
def test_an_object_of_another_length_is_an_error_and_never_half_an_answer(range_header: str | None, total: int) -> None:
    store = Store(total=total)
    with pytest.raises(StorageError):
        answer(store, range_header)
    assert all(part.closed for part in store.opened)


# Closing a response ends a request, and with it the connections to the database.
@pytest.mark.django_db(transaction=True)
def test_the_object_is_closed_when_the_reader_is_gone() -> None:
    store = Store()
    response = answer(store)
    assert isinstance(response, StreamingHttpResponse)
    next(iter(response))
    response.close()
    assert store.opened[0].closed
