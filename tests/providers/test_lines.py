"""What a message says beside its text, as staff read it: one labelled line for each thing.

``lines.json`` has raw messages of each provider, and the lines of each.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from messages_app.providers import provider
from messages_app.providers.lines import MAX_LINES, Line, answers, limited, words
from tests.providers.deliveries import HERE

SAMPLES = json.loads((HERE / "lines.json").read_text())
CASES = [(name, case) for name, cases in SAMPLES.items() for case in cases]


def lines_of(raw: dict[str, Any]) -> list[Line]:
    return provider("meta").lines(raw)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_message_in_words(name: str, case: str) -> None:
    sample = SAMPLES[name][case]
    expected = [Line(*line) for line in sample["lines"]]
    assert provider(name).lines(sample["raw"]) == expected


def test_a_flow_nested_a_thousand_deep_is_shown_as_it_came() -> None:
    reply = {"name": "flow", "body": "Sent", "response_json": "[" * 5_000}
    raw = {"interactive": {"type": "nfm_reply", "nfm_reply": reply}}
    assert lines_of(raw) == [Line("Answers", "[" * 2_000 + "…")]


def test_endless_lines_end_with_how_many_are_left_out() -> None:
    options = {f"option_{number}": number for number in range(1_000)}
    lines = lines_of({"poll": options})
    assert len(lines) == MAX_LINES + 1
    left_out = "800 more lines are in the message as the provider sent it"
    assert lines[-1] == Line("More", left_out)


def test_as_many_lines_as_fit_are_all_shown() -> None:
    lines = [Line("Colour", "red")] * MAX_LINES
    assert limited(iter(lines)) == lines


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (False, "no"), (["a", True, {}], "a, yes"), ({"a": "b"}, "")],
)
def test_a_plain_value_is_text(value: object, text: str) -> None:
    assert words(value) == text


@pytest.mark.parametrize(
    ("sent", "lines"),
    [
        ('{"flow_token": "x", "item_name": "chair"}', [Line("Item name", "chair")]),
        ({"item-name": "chair"}, [Line("Item name", "chair")]),
        ('["chair"]', [Line("Answers", "chair")]),
        ("chair", [Line("Answers", "chair")]),
    ],
)
def test_a_form_is_shown_by_its_answers(sent: object, lines: list[Line]) -> None:
    assert list(answers(sent)) == lines
