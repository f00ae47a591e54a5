"""Sending by a worker whose clock is wrong, and for how long it is tried."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django.fixtures import Settings

from messages_app import outbox, outbox_queues, outbox_results
from messages_app.models import OutboxItem, PhotoSession
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.clock import database_clock
from tests.messages.outbox_rows import open_session, reply
from tests.providers.receiver import Receiver, answer

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("provider", "shop"),
]

Kind, State = OutboxItem.Kind, OutboxItem.State
FAST, SLOW = timedelta(days=2), timedelta(minutes=-10)


@pytest.fixture(
    params=[FAST, SLOW, -FAST],
    ids=["two days fast", "ten minutes slow", "two days slow"],
)
def wrong_clock(request: pytest.FixtureRequest) -> Iterator[None]:
    """This worker's clock beside the database's, in whose time everything has just happened."""
    with database_clock(-request.param):
        yield


def queued_reply(kind: str = Kind.ACK) -> OutboxItem:
    """An item of a contact who wrote just now."""
    item = reply(open_session(), kind)
    PhotoSession.objects.update(last_at=Now())
    OutboxItem.objects.update(not_before=Now(), caused_at=Now())
    return item


def when(**condition: object) -> bool:
    """Whether the only item is as said, seen by the database."""
    return OutboxItem.objects.filter(**condition).exists()


@pytest.mark.usefixtures("wrong_clock")
def test_a_reply_is_sent_by_a_worker_with_a_wrong_clock() -> None:
    queued_reply()
    assert outbox.send_due() == 1


@pytest.mark.usefixtures("wrong_clock")
def test_a_busy_provider_is_left_alone_so_long(settings: Settings) -> None:
    queued_reply()
    with Receiver(
        answer(429, {}, "Retry-After: 20"), answer(429, {}, "Retry-After: 20")
    ) as busy:
        settings.META_GRAPH_URL = busy.url
        assert outbox.send_due() + outbox.send_due() == 0
    assert len(busy.requests) == 1
    assert when(
        not_before__range=(Now() + timedelta(seconds=1), Now() + timedelta(seconds=20))
    )


@pytest.mark.usefixtures("wrong_clock")
def test_what_is_being_sent_is_not_overdue() -> None:
    queued_reply(Kind.HAND_OVER)
    assert outbox.send_due() == 1
    OutboxItem.objects.update(state=State.SENDING)
    assert outbox_results.finish_overdue() == 0


def test_a_hand_over_is_tried_for_three_days_however_old_its_session_is(
    shop: Shop,
) -> None:
    shop.down = True
    month_ago = timezone.now() - timedelta(days=30)
    reply(open_session(last_at=month_ago, last_received_at=month_ago), Kind.HAND_OVER)
    for days, state in ((0, State.QUEUED), (2, State.QUEUED), (2, State.FAILED)):
        OutboxItem.objects.update(
            not_before=Now(), first_tried_at=F("first_tried_at") - timedelta(days=days)
        )
        assert outbox.send_due() == 0
        assert when(state=state)


def test_what_staff_send_again_has_all_its_time_again(shop: Shop) -> None:
    shop.down = True
    item = reply(
        open_session(),
        Kind.HAND_OVER,
        first_tried_at=timezone.now() - timedelta(days=9),
    )
    outbox.send_due()
    assert when(state=State.FAILED) and outbox_results.send_again(item)
    outbox.send_due()
    assert when(state=State.QUEUED, attempts=1)


def test_an_attempt_that_stood_still_changes_nothing_of_the_next(
    provider: SimulatedProvider,
) -> None:
    """A worker was frozen while it sent; staff have sent it again meanwhile."""
    item = queued_reply()
    frozen = outbox._claim(outbox_queues.REPLIES, item.id)
    assert frozen is not None
    OutboxItem.objects.update(state=State.UNKNOWN)
    assert outbox_results.send_again(item) and outbox._claim(
        outbox_queues.REPLIES, item.id
    )
    provider.unauthorised = True
    assert not outbox._send(frozen)
    provider.unauthorised = False
    assert when(state=State.SENDING)
