"""Which replies and hand-overs may be sent, beside many that may not; and how many at a time."""

from __future__ import annotations

import os
import signal
import socket
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from media_app import queues, retry
from messages_app import jobs, outbox, outbox_queues, outbox_results
from messages_app.models import Delivery, OutboxItem, PhotoSession
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.admin.rows import make_reply
from tests.messages.outbox_rows import behind, open_session, reply
from tests.providers.receiver import Receiver, silence

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("provider", "shop"),
]

Kind, State = OutboxItem.Kind, OutboxItem.State
LATER = timedelta(hours=1)
#: More than are looked up at a time.
MANY = 3 * outbox.BATCH


@pytest.mark.parametrize("kind", [Kind.ACK, Kind.HAND_OVER])
def test_one_that_may_be_sent_passes_many_that_are_blocked(kind: str) -> None:
    behind(reply(open_session(1), kind, not_before=Now() + LATER), MANY)
    free = reply(open_session(2), kind)
    assert outbox.send_due() == 1
    free.refresh_from_db()
    assert free.state == State.SENT


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING])
def test_an_earlier_reply_blocks_until_its_result_is_known(state: str) -> None:
    first = make_reply(open_session(), Kind.START, state, not_before=Now() + LATER)
    reply(first.session)
    assert outbox.send_due() == 0
    OutboxItem.objects.filter(id=first.id).update(state=State.UNKNOWN)
    assert outbox.send_due() == 1


def test_hand_overs_and_replies_do_not_wait_for_each_other(shop: Shop) -> None:
    reply(open_session(1), Kind.HAND_OVER, not_before=Now() + LATER)
    reply(PhotoSession.objects.get())
    waiting = reply(open_session(2), not_before=Now() + LATER)
    reply(waiting.session, Kind.HAND_OVER)
    assert outbox.send_due() == 2


def test_an_unread_delivery_blocks_what_it_may_change_and_no_more() -> None:
    now = timezone.now()
    Delivery.objects.create(
        id="0" * 64, endpoint="meta", body=b"{}", received_at=now - timedelta(minutes=5)
    )
    behind(reply(open_session(1), caused_at=now - timedelta(minutes=5)), MANY)
    free = reply(open_session(2), caused_at=now - timedelta(minutes=6))
    assert outbox.send_due() == 1
    free.refresh_from_db()
    assert free.state == State.SENT


def test_blocked_replies_cost_no_queries() -> None:
    free = open_session(1)
    counts: list[int] = []
    for blocked in (0, MANY):
        behind(reply(open_session(2 + len(counts)), not_before=Now() + LATER), blocked)
        reply(free)
        with CaptureQueriesContext(connection) as captured:
            assert outbox.send_due() == 1
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_reply_that_is_blocked_fails_a_day_later_too() -> None:
    silent = open_session(1, last_at=timezone.now() - timedelta(hours=25))
    behind(reply(silent, not_before=Now() + LATER), 2)
    hand_over = reply(silent, Kind.HAND_OVER, not_before=Now() + LATER)
    reply(open_session(2), not_before=Now() + LATER)
    assert outbox_results.finish_overdue() == 3
    failed = OutboxItem.objects.filter(
        state=State.FAILED, last_error__contains="24 hours", session=silent
    )
    assert failed.count() == 3 and hand_over not in failed


@pytest.mark.django_db(transaction=True)
def test_hand_overs_have_a_queue_and_a_job_of_their_own(
    provider: SimulatedProvider, shop: Shop, redis: Redis
) -> None:
    provider.sends.clear()
    reply(open_session(), Kind.ACK)
    reply(PhotoSession.objects.get(), Kind.HAND_OVER)
    assert outbox_queues.enqueue_senders()
    assert (queues.waiting("outbox"), queues.waiting("handovers")) == (1, 1)
    jobs.send()
    assert (len(provider.sends), len(shop.received)) == (1, 0)
    jobs.hand_over()
    assert (len(provider.sends), len(shop.received)) == (1, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("limit", "value"), [("ITEMS_PER_RUN", 1), ("SEND_RUN_SECONDS", 0.0)]
)
def test_a_job_sends_so_much_and_leaves_the_rest_to_another(
    monkeypatch: pytest.MonkeyPatch,
    provider: SimulatedProvider,
    redis: Redis,
    limit: str,
    value: float,
) -> None:
    monkeypatch.setattr(outbox, limit, value)
    behind(reply(open_session()), 1)
    provider.sends.clear()
    jobs.send()
    assert (len(provider.sends), queues.waiting("outbox")) == (1, 1)
    jobs.send()
    assert (len(provider.sends), queues.waiting("outbox")) == (2, 1)


def test_what_failed_is_not_tried_again_in_the_same_run(
    monkeypatch: pytest.MonkeyPatch, provider: SimulatedProvider
) -> None:
    """However short its pause is."""
    monkeypatch.setattr(retry, "pause", lambda *_: timedelta(0))
    monkeypatch.setattr(outbox_results, "MIN_PAUSE", timedelta(0))
    monkeypatch.setattr(outbox, "SEND_RUN_SECONDS", 1.0)
    provider.unauthorised = True
    failing = reply(open_session())
    assert outbox.send_due() == 0
    provider.unauthorised = False
    failing.refresh_from_db()
    assert (failing.state, failing.attempts) == (State.QUEUED, 1)


def test_one_that_can_not_be_prepared_stops_no_other() -> None:
    broken = reply(open_session(1, media_ids=["no id"]), not_before=Now() - LATER)
    reply(open_session(2))
    assert outbox.send_due() == 1
    broken.refresh_from_db()
    assert (broken.state, broken.attempts, "ValueError" in broken.last_error) == (
        State.QUEUED,
        1,
        True,
    )
    assert outbox.send_due() == 0


def test_one_that_breaks_off_while_it_is_sent_stops_no_other() -> None:
    broken = reply(open_session(1, provider="nobody"), not_before=Now() - LATER)
    reply(open_session(2))
    assert outbox.send_due() == 1
    broken.refresh_from_db()
    assert (broken.state, "ValueError" in broken.last_error) == (State.UNKNOWN, True)


@pytest.mark.parametrize(
    ("kind", "state"), [(Kind.ACK, State.UNKNOWN), (Kind.HAND_OVER, State.QUEUED)]
)
def test_one_that_the_jobs_time_limit_cuts_off_is_known_at_once(
    settings: Settings, kind: str, state: str
) -> None:
    def cut_off(sock: socket.socket) -> None:
        os.kill(os.getpid(), signal.SIGALRM)
        silence(sock)

    with Receiver(cut_off) as slow, pytest.raises(JobTimeoutException):
        settings.META_GRAPH_URL = settings.SESSION_WEBHOOK_URL = slow.url
        item = reply(open_session(), kind)
        with UnixSignalDeathPenalty(600, JobTimeoutException):  # type: ignore[no-untyped-call]
            outbox.send_due()
    item.refresh_from_db()
    assert (item.state, "JobTimeout" in item.last_error) == (state, True)
