"""What becomes of a provider's words before a database sees them."""

from __future__ import annotations

import json

import pytest

from messages_app.providers.text import (
    DEPTH_LIMIT,
    cut,
    place,
    sanitize,
    sanitize_id,
    sanitize_json,
    sanitize_link,
)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("Grüße 😀", "Grüße 😀"),
        ("a\x00b", "a\ufffdb"),
        ("\ud83d", "\ufffd"),
        ("\udfff\ud800", "\ufffd\ufffd"),
        (42, "42"),
        (1.5, "1.5"),
        (float("inf"), "inf"),
        (True, ""),
        (None, ""),
        (["a"], ""),
        ({"a": "b"}, ""),
    ],
)
def test_text_is_sanitized(value: object, kept: str) -> None:
    assert sanitize(value, 100) == kept


def test_text_is_cut_to_its_limit() -> None:
    assert sanitize("harbour", 4) == "harb"
    assert sanitize(123456, 4) == "1234"


def test_an_id_too_long_to_index_stays_different_from_another() -> None:
    one, other = sanitize_id("x" * 9_000 + "1"), sanitize_id("x" * 9_000 + "2")
    assert len(one) == len(other) == 500
    assert one != other
    assert one == sanitize_id("x" * 9_000 + "1")


def test_an_id_of_the_longest_kind_is_kept_as_it_is() -> None:
    assert sanitize_id("x" * 500) == "x" * 500


def test_a_link_is_kept_whole_or_not_at_all() -> None:
    assert sanitize_link("h" * 4_000) == "h" * 4_000
    assert sanitize_link("h" * 4_001) == ""


def test_json_is_sanitized_at_every_depth() -> None:
    value = {"a\x00": ["\ud800", 1e999, {"b": -1e999}], "c": [None, True, 7, 1.5, "ok"]}
    mended = {
        "a\ufffd": ["\ufffd", "inf", {"b": "-inf"}],
        "c": [None, True, 7, 1.5, "ok"],
    }
    assert sanitize_json(value) == mended
    json.dumps(sanitize_json(value), allow_nan=False)


def test_json_is_kept_to_a_depth_that_databases_bear() -> None:
    value: object = "deep"
    for _ in range(900):
        value = [value]
    assert json.dumps(sanitize_json(value)).count("[") == DEPTH_LIMIT


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("Hall", "1 Quay St", "1.5", "2.5"), "Hall, 1 Quay St (1.5, 2.5)"),
        (("", "1 Quay St", "1.5", "2.5"), "1 Quay St (1.5, 2.5)"),
        (("Hall", "", "", ""), "Hall"),
        (("", "", "1.5", "2.5"), "1.5, 2.5"),
        (("", "", "", ""), ""),
    ],
)
def test_a_place_is_one_line(parts: tuple[str, str, str, str], words: str) -> None:
    assert place(*parts) == words


@pytest.mark.parametrize(
    ("text", "limit", "sent"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one two three", 8, "one two…"),
        ("one\ntwo three", 10, "one\ntwo…"),
        ("one two  three", 12, "one two…"),
        ("ab\ncd\nefghij", 10, "ab\ncd…"),
        ("abcd efghij", 10, "abcd efgh…"),
        ("see https://hub.example/1", 10, "see https…"),
        ("see more https://hub.example/1", 15, "see more…"),
        ("😀😀😀", 6, "😀😀😀"),
        ("😀😀😀", 5, "😀😀…"),
        ("😀😀😀", 4, "😀…"),
        ("a\x00b\ud83d", 4, "a\ufffdb\ufffd"),
    ],
)
def test_a_text_is_cut_where_nothing_breaks(text: str, limit: int, sent: str) -> None:
    assert cut(text, limit) == sent
