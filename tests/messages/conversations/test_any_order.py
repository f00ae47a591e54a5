"""Messages in any order, once and again, end in the same sessions."""

from __future__ import annotations

import random

import pytest
from pytest_django.fixtures import Settings

from messages_app import inbox
from messages_app.models import OutboxItem
from tests.messages.conversations.chat import (
    STORY,
    State,
    one,
    picture,
    receive,
    replies_of,
    second_of,
    sessions,
    text,
    told,
)
from tests.messages.mail import ADA, arrive, card, meta

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

# --- any order ----------------------------------------------------------------------------


def known(of: str) -> list[tuple[object, ...]]:
    """All that sessions say, without ids."""
    return [
        (
            row.state,
            row.details,
            [len(row.message_ids), len(row.media_ids)],
            [
                second_of(moment)
                for moment in (row.started_at, row.last_at, row.done_at, row.ended_at)
            ],
            replies_of(row, queued=True),
        )
        for row in sessions(of)
    ]


@pytest.mark.parametrize("starts", ["photo", "keyword"])
def test_any_order_in_any_batches_makes_the_same_sessions(
    settings: Settings, starts: str
) -> None:
    settings.SESSION_START = starts
    receive(*told(ADA))
    expected = known(ADA)
    assert [each[0] for each in expected][:1] == [State.SUBMITTED]
    for seed in range(12):
        chance, of = random.Random(seed), f"whatsapp:+1433000{seed:04}"
        left = chance.sample(told(of), len(STORY))
        while left:
            size = chance.choice([1, 2, 5, 20])
            receive(*left[:size])
            left = left[size:]
        assert known(of) == expected, seed


def test_the_story_has_every_end() -> None:
    receive(*told(ADA))
    assert [row.state for row in sessions()] == [
        State.SUBMITTED,
        State.CANCELLED,
        State.EXPIRED,
        State.COLLECTING,
    ]


def test_a_delivery_that_comes_twice_changes_nothing() -> None:
    receive(*told(ADA))
    before = known(ADA), OutboxItem.objects.count()
    # Another body with the same messages.
    arrive(meta(*told(ADA), contacts=[card("Ada", ADA)]))
    inbox.drain()
    assert (known(ADA), OutboxItem.objects.count()) == before


def test_a_reply_is_queued_once_for_each_cause() -> None:
    for second, body in enumerate(["sell", "done", "done", "", "", "done"]):
        receive(text(second, body) if body else picture(second))
    replies = ["ack", "no_photos", "no_photos", "question", "start"]
    assert replies_of(one()) == replies
