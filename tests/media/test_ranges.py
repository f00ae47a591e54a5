from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_app.responses.ranges import ByteRange, UnsatisfiableError, parse_range

UNSATISFIABLE = "416"
WHOLE = None
TOTAL = 1000


def answer(header: str | None, total: int = TOTAL) -> tuple[int, int] | str | None:
    """First and last byte as Content-Range names them, the whole file, or 416."""
    try:
        found = parse_range(header, total)
    except UnsatisfiableError:
        return UNSATISFIABLE
    return (found.start, found.stop - 1) if found else WHOLE


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, WHOLE),
        ("", WHOLE),
        ("bytes=0-0", (0, 0)),
        ("bytes=0-499", (0, 499)),
        ("bytes=500-", (500, 999)),
        ("bytes=999-", (999, 999)),
        ("bytes=-1", (999, 999)),
        ("bytes=-500", (500, 999)),
        ("bytes=-2000", (0, 999)),
        ("bytes=0-999", (0, 999)),
        ("bytes=0-", (0, 999)),
        ("bytes=990-5000", (990, 999)),
        ("bytes=0-99999999999999999999999", (0, 999)),
        ("bytes=000000000000000000000001-2", (1, 2)),
        ("bytes=1000-", UNSATISFIABLE),
        ("bytes=1000-1100", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=-000", UNSATISFIABLE),
        ("bytes=5-2", WHOLE),
        ("bytes=5000-2", WHOLE),
        ("bytes=1000000000000000001-1000000000000000000", WHOLE),
        ("bytes=abc", WHOLE),
        ("bytes=", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes", WHOLE),
        ("bytes=--5", WHOLE),
        ("bytes=+0-5", WHOLE),
        ("bytes=1_0-1_5", WHOLE),
        ("bytes=٠-٥", WHOLE),
        ("bytes=0x0-0x5", WHOLE),
        ("bytes=0-5\n", WHOLE),
        ("bytes=0 -5", WHOLE),
        ("bytes=" + "9" * 5000 + "-", UNSATISFIABLE),
        ("bytes=-" + "9" * 5000, (0, 999)),
        ("bytes=0-" + "9" * 5000, (0, 999)),
        ("items=0-5", WHOLE),
        ("byteſ=0-5", WHOLE),
        ("Bytes=0-5", (0, 5)),
        ("BYTES=0-5", (0, 5)),
        ("bytes= 0-5 ", (0, 5)),
        ("bytes=0-9,20-29", WHOLE),
        ("bytes=0-,-1", WHOLE),
        ("bytes=0-9,5-14", WHOLE),
        ("bytes=0-9,5000-", WHOLE),
        ("bytes=5000-,6000-", WHOLE),
        ("bytes=0-9, ", WHOLE),
        ("bytes=,0-9", WHOLE),
        ("bytes=" + ",".join(["0-"] * 1000), WHOLE),
    ],
)
def test_a_range_of_a_thousand_bytes(
    header: str | None, expected: tuple[int, int] | str | None
) -> None:
    assert answer(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, WHOLE),
        ("bytes=0-", UNSATISFIABLE),
        ("bytes=0-0", UNSATISFIABLE),
        ("bytes=-5", WHOLE),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=5-2", WHOLE),
    ],
)
def test_a_range_of_an_empty_file(header: str | None, expected: str | None) -> None:
    assert answer(header, total=0) == expected


def test_a_range_names_itself_as_the_rfc_says() -> None:
    assert ByteRange(0, 1).content_range(1000) == "bytes 0-0/1000"
    assert ByteRange(990, 1000).content_range(1000) == "bytes 990-999/1000"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=" + " " * 60_000 + "x",
        "bytes=" + "0" * 60_000 + "x",
        "bytes=" + "0-," * 20_000,
    ],
)
def test_no_header_keeps_the_parser_busy(header: str) -> None:
    before = time.process_time()
    answer(header)
    assert time.process_time() - before < 0.1


signs = st.text(st.sampled_from("bytes=BYTES0123456789-, \t+_x٠"), max_size=40)
headers = st.one_of(
    st.text(),
    signs,
    signs.map("bytes={}".format),
    st.tuples(st.integers(0, 10**30), st.integers(0, 10**30)).map(
        lambda pair: f"bytes={pair[0]}-{pair[1]}"
    ),
)


@given(headers, st.integers(0, 10**15))
def test_whatever_is_asked_the_answer_lies_within_the_file(
    header: str, total: int
) -> None:
    found = answer(header, total)
    if isinstance(found, tuple):
        assert 0 <= found[0] <= found[1] < total


@given(
    st.integers(0, 10**30),
    st.one_of(st.none(), st.integers(0, 10**30)),
    st.integers(1, 10**15),
)
def test_a_well_formed_range_means_what_the_rfc_says(
    first: int, last: int | None, total: int
) -> None:
    found = answer(f"bytes={first}-{'' if last is None else last}", total)
    if last is not None and last < first:
        assert found is WHOLE
    elif first >= total:
        assert found == UNSATISFIABLE
    else:
        assert found == (first, total - 1 if last is None else min(last, total - 1))


@given(headers)
def test_nothing_but_one_plain_range_cuts_the_file(header: str) -> None:
    if not re.fullmatch(
        r"(?i)bytes=[ \t]*([0-9]+-[0-9]*|-[0-9]+)[ \t]*", header, re.ASCII
    ):
        assert answer(header) is WHOLE
