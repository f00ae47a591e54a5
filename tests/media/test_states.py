from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from media_app.models import Lease, Media
from tests.media.files import Announced, mark_stored

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State


@pytest.mark.parametrize("state", [state for state in State if state != State.DELETED])
def test_a_file_that_is_in_place_is_stored_whatever_was_thought_of_it(
    announced: Announced, state: State
) -> None:
    media = announced()
    Media.objects.update(
        state=state, last_error="why", lease_until=Now(), queued_until=Now()
    )
    assert mark_stored(Lease(media, uuid4()), sha256="a" * 64)
    row = Media.objects.get()
    assert (row.state, row.last_error) == (State.STORED, "")
    assert (row.sha256, row.size) == ("a" * 64, 6)
    assert (row.lease_token, row.lease_until, row.queued_until) == (None, None, None)
    assert row.stored_at is not None


def test_a_deleted_file_stays_deleted(announced: Announced) -> None:
    media = announced()
    Media.objects.update(state=State.DELETED)
    assert not mark_stored(Lease(media, uuid4()), sha256="a" * 64)
    assert Media.objects.get().state == State.DELETED


def test_a_row_that_is_gone_is_not_stored(announced: Announced) -> None:
    media = announced()
    Media.objects.all().delete()
    assert not mark_stored(Lease(media, uuid4()), sha256="a" * 64)


@pytest.mark.parametrize("state", State)
def test_only_a_stored_file_can_go_missing(announced: Announced, state: State) -> None:
    media = announced()
    Media.objects.update(state=state)
    assert Media.objects.mark_missing(media.id) == (state == State.STORED)
    assert (Media.objects.get().state == State.MISSING) == (
        state in {State.STORED, State.MISSING}
    )


def test_a_revived_file_is_tried_for_another_day_however_old_it_is(
    announced: Announced,
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    announced(occurred_at=long_ago, announced_at=long_ago)
    Media.objects.update(
        state=State.EXPIRED, attempts=99, last_error="why", unconfirmed_sha256="b" * 64
    )
    assert Media.objects.all().revive() == 1
    row = Media.objects.get()
    assert (row.state, row.attempts) == (State.PENDING, 0)
    assert (row.last_error, row.unconfirmed_sha256) == ("", "")
    assert row.give_up_at > datetime.now(UTC) + timedelta(hours=23)
    assert Media.objects.claim() is not None


def test_reviving_does_not_shorten_the_time_that_is_left(announced: Announced) -> None:
    media = announced()
    Media.objects.update(state=State.REJECTED)
    Media.objects.all().revive()
    assert Media.objects.get().give_up_at == media.give_up_at


@pytest.mark.parametrize("state", State)
def test_staff_ask_again_for_what_failed_but_not_for_what_was_deleted(
    announced: Announced, state: State
) -> None:
    announced()
    failed = {State.RETRYING, State.EXPIRED, State.REJECTED, State.MISSING}
    asked_again = int(state in failed)
    Media.objects.update(state=state, next_attempt_at=Now() + timedelta(hours=1))
    assert Media.objects.all().retry_now() == asked_again
    assert (Media.objects.claim() is not None) == bool(asked_again)


def test_the_rescue_clock_runs_while_the_provider_has_what_we_lack(
    announced: Announced,
) -> None:
    media = announced()
    now = media.occurred_at + timedelta(days=5)
    assert media.expires_in(now) == timedelta(days=2)
    for state in (State.STORED, State.DELETED):
        media.state = state
        assert media.expires_in(now) is None
    assert (
        announced(source="twilio", url="https://api.twilio.com/x").expires_in(now)
        is None
    )
