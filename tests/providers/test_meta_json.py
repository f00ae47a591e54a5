"""Bodies that are not what JSON should be: one Unreadable for the whole, or a mended photo; never
an exception.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from messages_app.providers.events import Event, MessageReceived, Unreadable
from tests.providers.deliveries import bare, body, read

PHOTO = body("meta", "image")


def photo_with(fragment: str) -> bytes:
    """A photo whose caption is this piece of JSON, written as it stands."""
    return PHOTO.replace(
        b'"mime_type"', f'"caption": {fragment}, "mime_type"'.encode(), 1
    )


def raw_caption(events: list[Event]) -> object:
    (photo,) = events
    assert isinstance(photo, MessageReceived)
    assert photo.media
    image = photo.raw["image"]
    assert isinstance(image, Mapping)
    return image["caption"]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b"\xff\xfe\xfa",
        b"[" * 100_000,
        b'{"entry": ' * 100_000,
        PHOTO[:-20],
        PHOTO + b"}",
        PHOTO.replace(b'"image"', b'"image', 1),
    ],
    ids=lambda raw: repr(raw[:12]),
)
def test_a_body_that_is_no_json_object_is_one_unreadable_whole(raw: bytes) -> None:
    (event,) = read(raw, "meta")
    assert isinstance(event, Unreadable)
    assert event.path == ""
    assert event.error


def test_what_was_no_json_is_shown_as_text() -> None:
    (event,) = read(b"not\x00 json \xff", "meta")
    assert isinstance(event, Unreadable)
    assert event.payload == "not\ufffd json \ufffd"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_another_encoding_of_unicode_is_read_all_the_same(encoding: str) -> None:
    assert bare(read(PHOTO.decode().encode(encoding), "meta")) == bare(
        read(PHOTO, "meta")
    )


@pytest.mark.parametrize(
    ("fragment", "kept"),
    [
        ("1e999", "inf"),
        ('{"size": [-1e999, 1.5]}', {"size": ["-inf", 1.5]}),
        (r'"a\u0000b"', "a\ufffdb"),
        (r'{"\udc00": "\ud800"}', {"\ufffd": "\ufffd"}),
        (r'"\ud83d\ude00"', "😀"),
    ],
)
def test_a_raw_message_is_sanitized(fragment: str, kept: object) -> None:
    assert raw_caption(read(photo_with(fragment), "meta")) == kept


@pytest.mark.parametrize(
    ("fragment", "kept"),
    [
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"cut \xf0\x9f"', "cut \ufffd"),
        (b'"two\nlines\x01"', "two\nlines\x01"),
        (b"NaN", "NaN"),
        (b"-Infinity", "-Infinity"),
        (b"9" * 5_000, "9" * 5_000),
        (b"[01, +1, .5, True, 'x']", ["01", "+1", ".5", "True", "'x'"]),
        (rb'"a\q and \u12"', r"a\q and \u12"),
        (
            b"[1, -2.5e3, true, false, null, NaN]",
            [1, -2500.0, True, False, None, "NaN"],
        ),
        (rb'["\u00e9\"", {}, [], NaN]', ['\u00e9"', {}, [], "NaN"]),
        (b'{"a": NaN, "b": {"c": "d"}}', {"a": "NaN", "b": {"c": "d"}}),
    ],
)
def test_a_malformed_value_is_read_as_text(fragment: bytes, kept: object) -> None:
    marked = photo_with('"HERE"')
    assert raw_caption(read(marked.replace(b'"HERE"', fragment), "meta")) == kept


@pytest.mark.parametrize("levels", [900, 1_200, 100_000])
def test_a_photo_beside_something_nested_too_deep_is_read(levels: int) -> None:
    caption = raw_caption(read(photo_with("[" * levels + "]" * levels), "meta"))
    assert json.dumps(caption).count("[") < 100


def test_edits_nested_in_edits_do_not_exhaust_the_stack() -> None:
    deep = '{"type": "edit", "edit": {"message": ' * 400 + "{}" + "}}" * 400
    raw = body("meta", "edit").replace(
        b'"type": "text"', b'"type": "edit", "edit": {"message": %b}' % deep.encode()
    )
    (event,) = read(raw, "meta")
    assert isinstance(event, MessageReceived)
    assert event.refers_to == "wamid.A0"


def test_a_fault_of_ours_in_one_message_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def faulty(text: str) -> str:
        raise RuntimeError("a bug")

    burst = json.loads(body("meta", "burst"))
    del burst["entry"][0]["changes"][0]["value"]["messages"][1:]
    burst["entry"][0]["changes"][0]["value"]["messages"].append(
        {"id": "wamid.T", "type": "text"}
    )
    monkeypatch.setattr("messages_app.providers.meta_content.digest_hex", faulty)
    events = read(json.dumps(burst).encode(), "meta")
    assert [event.kind for event in events if isinstance(event, MessageReceived)] == [
        "text"
    ]
    assert {event.error for event in events if isinstance(event, Unreadable)} == {
        "a fault of ours: RuntimeError"
    }
