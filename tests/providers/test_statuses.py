"""How far a message has come."""

from __future__ import annotations

from itertools import pairwise

import pytest

from messages_app.providers.statuses import status_rank


def test_a_message_comes_further_step_by_step() -> None:
    steps = ["warp", "queued", "sent", "failed", "delivered", "read", "played"]
    assert all(
        status_rank(before) < status_rank(after) for before, after in pairwise(steps)
    )


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending"])
def test_all_that_comes_before_sent_is_one_step(status: str) -> None:
    assert status_rank(status) == status_rank("queued") == 1


@pytest.mark.parametrize("status", ["", "deleted", "SENT"])
def test_a_status_that_we_do_not_know_is_no_step(status: str) -> None:
    assert status_rank(status) == 0
