"""What RFC 9110 wants of a file of 1,000 bytes: one row for each request, with the exact numbers of
its answer.

Where the RFC leaves a choice, the row is what this hub has chosen: one range or the whole, never a
list of ranges. Tag and dates stand in braces, as ``{tag}``: they are the file's own.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Begins as JPEGs do, so that it is shown; no two of its parts are the same.
BODY = b"\xff\xd8\xff\xe0" + b"".join(b"%04d" % number for number in range(249))
SIZE = len(BODY)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A request, and the answer to it."""

    number: int
    title: str
    headers: Headers = ()
    method: str = "GET"
    status: int = 200
    #: The first and the last byte of a 206.
    part: tuple[int, int] | None = None
    #: Of the whole file.
    size: int = SIZE

    def __str__(self) -> str:
        return f"{self.number} {self.title}"

    @property
    def content_range(self) -> str | None:
        if self.status == 416:
            return f"bytes */{self.size}"
        return f"bytes {self.part[0]}-{self.part[1]}/{self.size}" if self.part else None

    @property
    def body(self) -> bytes:
        """Of a 200 or a 206."""
        if self.method == "HEAD":
            return b""
        first, last = self.part or (0, self.size - 1)
        return BODY[first : last + 1]

    @property
    def content_length(self) -> int:
        """Of a 200 or a 206."""
        return self.part[1] - self.part[0] + 1 if self.part else self.size


def _asked(
    number: int,
    title: str,
    asked: str,
    wanted: tuple[int, int] | int,
    **conditions: str,
) -> Row:
    """A GET with a Range; ``wanted`` is the part to come, or the status of an answer without
    one.
    """
    headers = (("Range", asked), *_named(conditions))
    if isinstance(wanted, int):
        return Row(number, title, headers, status=wanted)
    return Row(number, title, headers, status=206, part=wanted)


def _plain(number: int, title: str, status: int, **conditions: str) -> Row:
    """A GET without a Range."""
    return Row(number, title, _named(conditions), status=status)


def _named(conditions: dict[str, str]) -> Headers:
    return tuple((name.replace("_", "-"), value) for name, value in conditions.items())


#: What asks for the start of the file.
START = (("Range", "bytes=0-9"),)
_OUTSIDE = (("Range", "bytes=1000-"),)
_DIGITS = "9" * 5000
_ALL = (0, SIZE - 1)

ROWS = (
    Row(1, "the whole"),
    Row(2, "head", method="HEAD"),
    _asked(3, "the first byte", "bytes=0-0", (0, 0)),
    _asked(4, "the first half", "bytes=0-499", (0, 499)),
    _asked(5, "the second half", "bytes=500-", (500, 999)),
    _asked(6, "the last byte by its number", "bytes=999-", (999, 999)),
    _asked(7, "the last byte by a suffix", "bytes=-1", (999, 999)),
    _asked(8, "the last half by a suffix", "bytes=-500", (500, 999)),
    _asked(9, "a suffix longer than the file", "bytes=-2000", _ALL),
    _asked(10, "all by its numbers", "bytes=0-999", _ALL),
    _asked(10, "all by an open range", "bytes=0-", _ALL),
    _asked(11, "an end outside is cut", "bytes=990-5000", (990, 999)),
    _asked(12, "a huge end is cut", "bytes=0-99999999999999999999999", _ALL),
    _asked(13, "behind the end", "bytes=1000-", 416),
    _asked(13, "a range behind the end", "bytes=1000-1100", 416),
    _asked(14, "a suffix of nothing", "bytes=-0", 416),
    _asked(15, "a reversed range", "bytes=5-2", 200),
    _asked(16, "letters", "bytes=abc", 200),
    _asked(16, "no range at all", "bytes=", 200),
    _asked(16, "a dash", "bytes=-", 200),
    _asked(17, "two dashes", "bytes=--5", 200),
    _asked(17, "a plus sign", "bytes=+0-5", 200),
    _asked(17, "underscores", "bytes=1_0-1_5", 200),
    _asked(17, "arabic digits", "bytes=٠-٥", 200),
    _asked(18, "a start of 5,000 digits", f"bytes={_DIGITS}-", 416),
    _asked(18, "an end of 5,000 digits", f"bytes=0-{_DIGITS}", _ALL),
    _asked(18, "a suffix of 5,000 digits", f"bytes=-{_DIGITS}", _ALL),
    _asked(19, "another unit", "items=0-5", 200),
    _asked(20, "the unit in capitals", "Bytes=0-5", (0, 5)),
    _asked(20, "the unit in shouts", "BYTES=0-5", (0, 5)),
    _asked(21, "two ranges", "bytes=0-9,20-29", 200),
    _asked(22, "all and the last byte", "bytes=0-,-1", 200),
    _asked(22, "overlapping ranges", "bytes=0-9,5-14", 200),
    _asked(23, "one range within, one behind the end", "bytes=0-9,5000-", 200),
    _asked(24, "two ranges behind the end", "bytes=5000-,6000-", 200),
    _asked(25, "a thousand ranges", "bytes=" + ",".join(["0-"] * 1000), 200),
    Row(26, "head knows no range", START, method="HEAD"),
    Row(27, "head knows no end", _OUTSIDE, method="HEAD"),
    _asked(28, "if-range: the tag", "bytes=0-9", (0, 9), If_Range="{tag}"),
    _asked(29, "if-range: another tag", "bytes=0-9", 200, If_Range='"nope"'),
    _asked(29, "if-range: the tag, but weak", "bytes=0-9", 200, If_Range="W/{tag}"),
    _asked(29, "if-range: garbage", "bytes=0-9", 200, If_Range="garbage"),
    _asked(30, "if-range: the date", "bytes=0-9", (0, 9), If_Range="{date}"),
    _asked(30, "if-range: an earlier date", "bytes=0-9", 200, If_Range="{earlier}"),
    _asked(30, "if-range: a later date", "bytes=0-9", 200, If_Range="{later}"),
    _asked(
        31,
        "if-range: another tag, behind the end",
        "bytes=1000-",
        200,
        If_Range='"nope"',
    ),
    _plain(32, "if-range without a range", 200, If_Range="{tag}"),
    _plain(33, "if-none-match: the tag", 304, If_None_Match="{tag}"),
    _plain(33, "if-none-match: the tag, but weak", 304, If_None_Match="W/{tag}"),
    _plain(33, "if-none-match: any", 304, If_None_Match="*"),
    _plain(
        33, "if-none-match: a list with the tag", 304, If_None_Match='"nope", {tag}'
    ),
    Row(33, "head if-none-match: the tag", (("If-None-Match", "{tag}"),), "HEAD", 304),
    _plain(
        34,
        "if-none-match: another tag, whatever the date",
        200,
        If_None_Match='"nope"',
        If_Modified_Since="{date}",
    ),
    _plain(35, "if-modified-since: the date", 304, If_Modified_Since="{date}"),
    _plain(35, "if-modified-since: a later date", 304, If_Modified_Since="{later}"),
    _plain(
        36, "if-modified-since: an earlier date", 200, If_Modified_Since="{earlier}"
    ),
    _plain(36, "if-modified-since: garbage", 200, If_Modified_Since="garbage"),
    _plain(37, "if-match: another tag", 412, If_Match='"nope"'),
    _plain(37, "if-match: the tag, but weak", 412, If_Match="W/{tag}"),
    _plain(37, "if-match: the tag", 200, If_Match="{tag}"),
    _plain(
        38, "if-unmodified-since: an earlier date", 412, If_Unmodified_Since="{earlier}"
    ),
    _plain(38, "if-unmodified-since: the date", 200, If_Unmodified_Since="{date}"),
    _asked(
        39,
        "if-none-match: the tag, and a range",
        "bytes=0-9",
        304,
        If_None_Match="{tag}",
    ),
    _asked(
        40,
        "if-none-match: the tag, behind the end",
        "bytes=1000-",
        304,
        If_None_Match="{tag}",
    ),
    _asked(
        41,
        "if-none-match: another tag, and a range",
        "bytes=0-9",
        (0, 9),
        If_None_Match='"nope"',
    ),
    _asked(
        41,
        "if-modified-since: an earlier date, and a range",
        "bytes=0-9",
        (0, 9),
        If_Modified_Since="{earlier}",
    ),
    _asked(
        42, "if-match: another tag, and a range", "bytes=0-9", 412, If_Match='"nope"'
    ),
    _asked(43, "if-match: the tag, and a range", "bytes=0-9", (0, 9), If_Match="{tag}"),
    Row(44, "nothing, whole", size=0),
    Row(44, "nothing, head", method="HEAD", size=0),
    Row(45, "nothing from the start", (("Range", "bytes=0-"),), status=416, size=0),
    Row(45, "the first byte of nothing", (("Range", "bytes=0-0"),), status=416, size=0),
    Row(46, "the end of nothing", (("Range", "bytes=-5"),), size=0),
    *(
        Row(47, method.lower(), method=method, status=405)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")
    ),
    _plain(48, "gzip is welcome", 200, Accept_Encoding="gzip, br"),
    _asked(
        48,
        "gzip is welcome, and a range",
        "bytes=0-9",
        (0, 9),
        Accept_Encoding="gzip, br",
    ),
    Row(49, "two range headers", (("Range", "bytes=0-9"), ("Range", "bytes=20-29"))),
    _asked(49, "an empty range in the list", "bytes=0-9, ", 200),
)
