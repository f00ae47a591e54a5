"""Ids and links that need no register."""

from __future__ import annotations

import pytest

from simulator.content import Kind
from simulator.file_ids import FileId, link_token, linked_id

FILE = FileId(Kind.DOCUMENT, 4_000_000_000, 1_790_000_000, 104_857_600)


@pytest.mark.parametrize("text", [FILE.meta, FILE.twilio])
def test_an_id_says_which_file_it_is(text: str) -> None:
    assert FileId.read(text) == FILE


def test_ids_look_like_the_vendors() -> None:
    assert FILE.meta.isdigit()
    assert FILE.twilio.startswith("ME")
    assert len(FILE.twilio) == 34


@pytest.mark.parametrize(
    "text", ["", "abc", str(int(FILE.meta) + 1), str(1 << 128), "ME" + "0" * 32]
)
def test_an_id_that_was_never_given_out_is_unknown(text: str) -> None:
    assert FileId.read(text) is None


def test_a_link_lives_as_long_as_it_may() -> None:
    token = link_token("secret", FILE.meta, 1000)
    assert linked_id("secret", token, now=1300, lifetime=300) == FILE.meta
    assert linked_id("secret", token, now=1301, lifetime=300) is None


def test_a_link_that_was_tampered_with_is_dead() -> None:
    token = link_token("secret", FILE.meta, 1000)
    younger = token.replace(".1000.", ".2000.")
    assert linked_id("secret", younger, now=2000, lifetime=300) is None
    assert linked_id("other secret", token, now=1000, lifetime=300) is None
