"""Files in lines: JSON Lines, CSV and lists of links, broken ones among them."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable, Iterator
from csv import writer
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_app.imports import csv_lines as csv
from media_app.imports.addresses import addresses
from media_app.imports.csv_lines import Records, csv_lines, split
from media_app.imports.items import (
    Assumed,
    BrokenLine,
    Item,
    UnreadableError,
)
from media_app.imports.json_lines import json_lines
from tests.media.files import OWNER, PHOTO

MB = 1024 * 1024
TIME = datetime(2024, 5, 19, 12, 8, 2, tzinfo=UTC)
ASSUMED = Assumed(owner=OWNER, occurred_at=TIME, max_bytes=MB)
IMAGE = base64.b64encode(PHOTO.body).decode()

Read = Callable[..., list[Item | BrokenLine]]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """What a reader makes of a text, or of lines."""
    found: list[Item | BrokenLine] = []

    def run(reader: Any, *texts: str | bytes, **assumed: Any) -> Any:
        path = tmp_path / "source"
        lines = (each.encode() if isinstance(each, str) else each for each in texts)
        path.write_bytes(b"\n".join(lines))
        given = {"owner": OWNER, "occurred_at": TIME, "max_bytes": MB, **assumed}
        found.extend(reader(path, Assumed(**given)))
        return found

    yield run
    for each in found:
        if isinstance(each, Item):
            each.close()


def line(**fields: object) -> str:
    return json.dumps({"image": IMAGE, **fields})


def one(found: list[Item | BrokenLine]) -> Item:
    (item,) = found
    assert isinstance(item, Item), item
    return item


def told(found: list[Item | BrokenLine]) -> list[tuple[int, str]]:
    """The number of each, with the reason of what is broken."""
    return [(each.number, getattr(each, "reason", "")) for each in found]


def body(item: Item) -> bytes:
    assert item.body is not None
    return item.body.read()


def test_a_line_says_all_of_its_file(read: Read) -> None:
    text = line(
        id=7,
        phone="+1 (433) 555-1213",
        timestamp=1716120000,
        filename="a/kitchen.jpeg",
        persona="Ana",
        metadata={"prompt": "a kitchen", "seed": 7},
    )
    item = one(read(json_lines, text))
    assert body(item) == PHOTO.body
    assert (item.owner, item.occurred_at.timestamp()) == (
        "whatsapp:+14335551213",
        1716120000,
    )
    assert (item.filename, item.content_type, item.time_assumed) == (
        "kitchen.jpeg",
        "image/jpeg",
        False,
    )
    assert item.own_id == "7"
    assert item.details == {
        "id": "7",
        "persona": "Ana",
        "prompt": "a kitchen",
        "seed": "7",
    }


def test_what_a_line_leaves_out_is_assumed(read: Read) -> None:
    item = one(read(json_lines, line()))
    assert (item.owner, item.occurred_at, item.time_assumed) == (OWNER, TIME, True)
    assert item.own_id is None


def test_fields_may_have_any_names(read: Read) -> None:
    text = json.dumps({"bild": IMAGE, "Kunde": "14335551213", "phone": "none"})
    names = {"data": "bild", "owner": "kunde"}
    item = one(read(json_lines, text, names=names))
    assert (item.owner, item.details) == ("whatsapp:+14335551213", {"phone": "none"})


BROKEN = {
    "not JSON": '{"image": ',
    "not a JSON object": "[1]",
    "no data": json.dumps({"image": None}),
    "not base64": json.dumps({"image": "????"}),
    "of no known type": json.dumps({"image": "aGVsbG8gd29ybGQ="}),
    "said to be image/png": json.dumps({"image": "data:image/png;base64,aGVsbG8="}),
    "not a number like": line(phone="Ana"),
    "not a time": line(timestamp="soon"),
    "not UTF-8": b'{"image": "\xff"}',
    "longer than": b'{"image": "' + b"A" * 3 * MB,
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_broken_lines_cost_nobody_else(read: Read, encoding: str) -> None:
    good = line(persona="Zoë").encode(encoding)
    found = read(json_lines, good, "", *BROKEN.values(), line())
    assert [isinstance(each, Item) for each in found] == [True, *[False] * 10, True]
    assert [each.number for each in found] == [1, *range(3, 14)]
    for each, why in zip(found[1:-1], BROKEN, strict=True):
        assert isinstance(each, BrokenLine)
        assert why in each.reason


def test_a_file_without_any_owner_is_broken(read: Read) -> None:
    assert told(read(json_lines, line(), owner="")) == [
        (1, "it names no owner, and --owner is not given")
    ]


def test_a_large_line_needs_few_times_its_memory(tmp_path: Path) -> None:
    size = 20 * MB
    whole = PHOTO.body.ljust(size, b"\0")
    text = base64.b64encode(whole).decode()
    (tmp_path / "a.jsonl").write_text(json.dumps({"image": text}))
    (tmp_path / "a.csv").write_text(f'image,persona\n"{text}",Ana\n')
    del text
    assumed = Assumed(owner=OWNER, occurred_at=TIME, max_bytes=size)
    for reader, name in ((json_lines, "a.jsonl"), (csv_lines, "a.csv")):
        tracemalloc.start()
        for item in reader(tmp_path / name, assumed):
            assert isinstance(item, Item)
            assert body(item) == whole
            item.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # The test itself holds the whole file twice.
        assert peak < 7 * size, name


def test_columns_are_fields(read: Read) -> None:
    header = "\ufeffphone;timestamp;image;prompt"
    record = f'14335551213;2024-05-19T12:00:00Z;{IMAGE};"a ""big""\nkitchen; old"'
    item = one(read(csv_lines, header, record))
    assert body(item) == PHOTO.body
    assert (item.owner, item.occurred_at.timestamp()) == (
        "whatsapp:+14335551213",
        1716120000,
    )
    assert item.details == {"prompt": 'a "big"\nkitchen; old'}


@given(st.lists(st.text('a",;\r\n é', max_size=8), min_size=2, max_size=5))
def test_a_record_reads_as_python_writes_it(values: list[str]) -> None:
    written = StringIO()
    writer(written).writerow(values)
    assert split(written.getvalue(), ",") == values


def test_a_mark_that_is_not_closed_costs_one_line(read: Read) -> None:
    good = f'{IMAGE},"two\nlines"'
    found = read(
        csv_lines,
        "image,prompt",
        f'{IMAGE},"never closed',
        good,
        f"{IMAGE},one,too many",
        f'{IMAGE},"closed"early',
        f'{IMAGE},5" pipe',
        b"\xff,x",
        "",
        good,
    )
    assert told(found) == [
        (2, "a quotation mark is not closed"),
        (3, ""),
        (5, "it has 3 columns, the header has 2"),
        (6, "text follows a closing quotation mark"),
        (7, ""),
        (8, "the line is not UTF-8"),
        (10, ""),
    ]


@pytest.mark.parametrize(("limit", "last"), [(10**6, csv.MAX_LINES + 1), (50, 6)])
def test_an_open_mark_reads_no_further_than_it_may(limit: int, last: int) -> None:
    texts = [b"image,prompt\n", b'x,"open\n', *[b"0123456789\n"] * 300]
    following = iter(list(enumerate(texts, start=1)))
    records = Records(following, limit)
    records.header()
    number, reason = next(iter(records))
    assert (number, str(reason)) == (2, "a quotation mark is not closed")
    assert next(following)[0] == last + 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "name the columns"),
        ("image,image", "same name"),
        (b"\xff\xfea\0", "UTF-16"),
        (b"image,\xff", "not UTF-8"),
    ],
)
def test_a_table_without_header_is_not_read(
    read: Read, text: str | bytes, why: str
) -> None:
    with pytest.raises(UnreadableError, match=why):
        read(csv_lines, text)


def test_links_are_files_to_fetch(read: Read) -> None:
    found = read(
        addresses,
        "# album",
        "https://example.com/a%20b.jpeg?sig=1",
        "",
        "ftp://example.com/c",
        b"https://example.com/\xff",
    )
    item = found[0]
    assert isinstance(item, Item)
    assert (item.number, item.filename) == (2, "a b.jpeg")
    assert item.url == "https://example.com/a%20b.jpeg?sig=1"
    assert told(found)[1:] == [
        (4, "The address is not one of the web."),
        (5, "the line is not UTF-8"),
    ]


def test_a_link_may_stand_for_the_data(read: Read) -> None:
    link = "https://example.com/a.jpeg"
    item, again = read(
        json_lines, json.dumps({"url": link}), json.dumps({"image": link})
    )
    assert isinstance(item, Item)
    assert isinstance(again, Item)
    assert (item.url, item.body) == (again.url, again.body) == (link, None)
