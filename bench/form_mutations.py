"""Forms with faults put into them. Pure."""

from __future__ import annotations

from random import Random
from urllib.parse import quote_plus

Fields = list[tuple[bytes, bytes]]

_FORM_VALUES = (
    *(
        b"",
        b" ",
        b"0",
        b"-1",
        b"10",
        b"9" * 5000,
        b"NaN",
        b"\x00",
        b"a\x00b",
        b"\xff\xfe",
        b"\xed\xa0\x80",
    ),
    *(
        b"x" * 50_000,
        "😀".encode() * 50,
        "\u202e".encode(),
        "٣".encode(),
        b"received",
        b"delivered",
        b"text",
    ),
    *(
        b"whatsapp:",
        b"whatsapp:+",
        b"sms:+1",
        b"messenger:",
        b"+1",
        b"http://[",
        b"ftp://x",
        b"//",
        b"https://a\x00",
    ),
)


def mutate_form(random: Random, fields: Fields) -> Fields:
    """The fields with one to six faults in them."""
    fields = list(fields)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(fields)) if fields else 0
        name, value = fields[at] if fields else (b"Body", b"")
        other = random.choice(fields)[1] if fields else b""
        strange = random.choice([*_FORM_VALUES, other])
        renamed = random.choice(
            [
                b"",
                b"MessageSid",
                b"MediaUrl0",
                b"NumMedia",
                b"\xff",
                b"a\x00b",
                name.lower(),
            ]
        )
        fields[at : at + 1] = random.choice(
            [
                [(name, strange)],
                [(name, strange)],
                [],
                [(name, value), (name, strange)],
                [(renamed, value)],
            ]
        )
        if random.random() < 0.2:
            random.shuffle(fields)
    return fields


def encode(random: Random, fields: Fields) -> bytes:
    """The fields as a body: quoted as they should be, or now and then hardly."""
    is_sloppy = random.random() < 0.2
    quoted = (
        (lambda part: part.replace(b"&", b"%26").replace(b"=", b"%3D"))
        if is_sloppy
        else _quoted
    )
    return b"&".join(quoted(name) + b"=" + quoted(value) for name, value in fields)


def _quoted(part: bytes) -> bytes:
    return quote_plus(part).encode()
