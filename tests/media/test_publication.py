"""What is to be done about public copies, by what their rows say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from media_app.models import Media
from media_app.publication import Step, next_step

State = Media.State

EARLIER, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
PUBLISHED = {"public_bucket": "public", "public_key": "k.jpeg", "published_at": LATER}
LEFT_OVER = {"public_bucket": "public", "public_key": "k.jpeg"}

#: What a row says, and what is to be done about it.
ROWS: list[tuple[dict[str, Any], Step | None]] = [
    ({}, None),
    ({"is_public": True}, Step.COPY),
    ({"is_public": True, "state": State.PENDING}, None),
    ({"is_public": True, **PUBLISHED}, None),
    ({"is_public": True, **PUBLISHED, "stored_at": LATER}, None),
    (
        {"is_public": True, **PUBLISHED, "published_at": EARLIER, "stored_at": LATER},
        Step.REMOVE,
    ),
    ({"is_public": True, **PUBLISHED, "public_bucket": "former"}, Step.REMOVE),
    ({"is_public": True, **LEFT_OVER}, Step.REMOVE),
    ({"is_public": False, **LEFT_OVER}, Step.REMOVE),
    ({"is_public": False, **PUBLISHED}, Step.REMOVE),
    ({"is_public": True, **PUBLISHED, "state": State.MISSING}, Step.REMOVE),
    ({"is_public": True, **PUBLISHED, "state": State.PENDING}, Step.REMOVE),
    ({"is_public": False, **PUBLISHED, "state": State.DELETED}, Step.REMOVE),
]


def row(words: dict[str, Any]) -> dict[str, Any]:
    return {"state": State.STORED, "stored_at": EARLIER, **words}


@pytest.mark.parametrize(("words", "step"), ROWS)
def test_what_is_to_be_done_about_a_copy(
    words: dict[str, Any], step: Step | None
) -> None:
    media = Media(**row(words))
    assert next_step(media, "public") == step
    assert next_step(media, "") == (Step.REMOVE if media.public_key else None)
