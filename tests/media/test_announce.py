from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from media_app.announce import Announcement, announce
from media_app.models import Media
from tests.media.files import Announced, announcement, keep
from tests.media.racing import race

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State
LATER = datetime.now(UTC) + timedelta(hours=1)


def test_an_announced_file_is_pending_with_its_key_and_its_expiry() -> None:
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    given = announcement(
        owner="whatsapp:+1433",
        occurred_at=at,
        position=2,
        content_type="audio/ogg; codecs=opus",
    )
    keep(given)
    media = Media.objects.get()
    assert (media.id, media.state, media.attempts) == (given.id, State.PENDING, 0)
    assert (
        media.key == f"whatsapp:+1433/{int(at.timestamp())}-2-{given.id.hex[:12]}.ogg"
    )
    assert media.expires_at == at + timedelta(days=7)
    assert media.give_up_at == at + timedelta(days=8)


def test_a_source_that_never_forgets_is_asked_for_thirty_days() -> None:
    given = announcement(source="twilio", url="https://api.twilio.com/x")
    keep(given)
    media = Media.objects.get()
    assert (media.expires_at, media.give_up_at) == (
        None,
        given.announced_at + timedelta(days=30),
    )


def test_the_first_announcement_stays_whatever_later_ones_say() -> None:
    first = announcement(provider_media_id="7", content_type="image/jpeg")
    keep(first)
    before = Media.objects.values().get()
    keep(
        announcement(
            provider_media_id="7",
            owner="whatsapp:+1999",
            occurred_at=LATER,
            content_type="image/png",
        )
    )
    assert Media.objects.values().get() == before


def test_the_same_file_twice_in_one_announcement_is_one_row() -> None:
    keep(
        announcement(provider_media_id="7", position=0),
        announcement(provider_media_id="7", position=1),
    )
    assert Media.objects.get().position == 0


@pytest.mark.django_db(transaction=True)
def test_fifty_announcements_at_once_are_one_row_of_one_of_them() -> None:
    given = [
        announcement(provider_media_id="7", owner=f"whatsapp:+1433555{1000 + n}")
        for n in range(50)
    ]
    race([partial(keep, each) for each in given])
    media = Media.objects.get()
    (first,) = [each for each in given if each.owner == media.owner]
    assert (media.key, media.occurred_at) == (first.as_row().key, first.occurred_at)


@pytest.mark.django_db(transaction=True)
def test_batches_in_opposite_order_do_not_lock_each_other_out() -> None:
    given = sorted((announcement() for _ in range(1000)), key=lambda each: each.id)
    halfway = threading.Barrier(2)

    def in_halves(announcements: list[Announcement]) -> None:
        """Two inserts, and between them a look whether the other has got so far, too."""
        inserts = count()

        def pause(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
            if sql.startswith("INSERT") and next(inserts) == 1:
                with suppress(threading.BrokenBarrierError):
                    halfway.wait(0.5)
            return execute(sql, *args)

        with connection.execute_wrapper(pause):
            keep(*announcements)

    race([partial(in_halves, given), partial(in_halves, given[::-1])])
    assert Media.objects.count() == len(given)


def test_a_key_that_another_file_has_is_an_error() -> None:
    given = announcement()
    keep(announcement())
    Media.objects.update(key=given.as_row().key)
    with pytest.raises(IntegrityError):
        keep(given)


@pytest.mark.parametrize("state", State)
def test_a_new_message_revives_what_was_given_up_and_nothing_else(
    announced: Announced, state: State
) -> None:
    media = announced(provider_media_id="7")
    Media.objects.update(state=state, attempts=9, last_error="why")
    keep(announcement(provider_media_id="7"))
    assert Media.objects.get().state == state, "the same message again"
    keep(announcement(provider_media_id="7"), new={media.id})
    media.refresh_from_db()
    revived = state in {State.EXPIRED, State.REJECTED, State.MISSING, State.DELETED}
    assert (media.state, media.attempts) == (
        (State.PENDING, 0) if revived else (state, 9)
    )


def test_what_is_announced_anew_has_its_own_seven_days_and_its_old_key(
    announced: Announced,
) -> None:
    before = announced(provider_media_id="7")
    Media.objects.update(state=State.EXPIRED)
    later = before.occurred_at + timedelta(days=20)
    again = announcement(
        provider_media_id="7",
        occurred_at=later,
        announced_at=later,
        url="https://new.example/",
    )
    keep(again, new={before.id})
    after = Media.objects.get()
    assert (after.expires_at, after.url, after.announced_at) == (
        later + timedelta(days=7),
        "https://new.example/",
        later,
    )
    assert (after.key, after.occurred_at) == (before.key, before.occurred_at)


OLD = {"sha256": "a" * 64, "size": 1, "content_type": "image/jpeg"}
NEW = {"sha256": "b" * 64, "size": 2, "content_type": "image/png"}


@pytest.mark.parametrize(("now", "expected"), [(NEW, NEW), ({"content_type": ""}, OLD)])
def test_what_is_announced_anew_is_checked_against_what_it_says_now(
    announced: Announced, now: dict[str, object], expected: dict[str, object]
) -> None:
    before = announced(provider_media_id="7", **OLD)
    Media.objects.update(state=State.REJECTED)
    keep(announcement(provider_media_id="7", **now), new={before.id})
    after = Media.objects.get()
    said = after.announced_sha256, after.announced_size, after.announced_type
    assert said == tuple(expected.values())
    assert after.key == before.key


@pytest.mark.django_db(transaction=True)
def test_announcing_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        announce([announcement()])


def test_what_is_announced_goes_with_its_transaction() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        announce([announcement()])
        raise ZeroDivisionError
    assert not Media.objects.exists()


@pytest.mark.parametrize(
    "words",
    [
        {"content_type": "x" * 5000},
        {"content_type": "image/jpeg\r\nX-Evil: 1"},
        {"filename": "ß" * 5000},
        {"url": "https://example.org/" + "x" * 50_000},
        {"provider_media_id": "9" * 5000},
        {"position": 9999},
    ],
)
def test_whatever_a_stranger_says_of_a_file_fits_its_row(
    words: dict[str, object],
) -> None:
    keep(announcement(**words))
    assert Media.objects.get().key.endswith(("jpeg", "bin"))
