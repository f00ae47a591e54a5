from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db.models import F, Max
from django.db.models.functions import Now
from pytest_django import Settings

from media_app.ingest import ingest_next
from media_app.models import AccountPause, FetchAttempt, Media
from media_app.models.media import BEHIND, WORKER_LOST
from media_app.models.pause import TRIAL_EVERY
from mediahub.simulator.provider import SimulatedProvider
from tests.media.files import Announced, Sent
from tests.media.racing import race
from tests.sources.hostile import HostileProvider

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

State = Media.State
Outcome = FetchAttempt.Outcome


def wait_for(*, pause: bool = True, files: bool = True) -> None:
    """As if so much time had passed."""
    if pause:
        AccountPause.objects.update(until=Now())
    if files:
        Media.objects.update(next_attempt_at=Now())


def stored() -> int:
    return Media.objects.filter(state=State.STORED).count()


# --- credentials that are refused -----------------------------------------------------


def test_refused_credentials_cost_one_request_and_no_attempt(sent: Sent, provider: SimulatedProvider) -> None:
    for _ in range(5):
        sent()
    provider.unauthorised = True
    before = provider.unauthorised_calls
    for _ in range(5):
        ingest_next()
    assert provider.unauthorised_calls - before == 1
    assert Media.objects.aggregate(Max("attempts"))["attempts__max"] == 0
    pause = AccountPause.objects.get()
    assert (pause.source, pause.cause) == ("meta", AccountPause.Cause.UNAUTHORIZED)
    assert "META_ACCESS_TOKEN" in pause.reason
    assert Media.objects.take_unqueued(10) == []


def test_a_paused_account_holds_up_no_other(sent: Sent, provider: SimulatedProvider) -> None:
    sent()
    sent("twilio")
    provider.unauthorised = True
    ingest_next()
    provider.unauthorised = False
    ingest_next()
    assert Media.objects.get(state=State.STORED).source == "twilio"


def test_a_paused_account_tries_one_file_at_a_time(sent: Sent, provider: SimulatedProvider) -> None:
    for _ in range(3):
        sent()
    provider.unauthorised = True
    ingest_next()
    before = provider.unauthorised_calls
    wait_for()
    for _ in range(3):
        ingest_next()
    assert provider.unauthorised_calls - before == 1
    left = AccountPause.objects.get().until - datetime.now(UTC)
    assert TRIAL_EVERY - timedelta(minutes=1) < left <= TRIAL_EVERY + timedelta(seconds=1)


def test_a_trial_that_succeeds_frees_the_account(sent: Sent, provider: SimulatedProvider) -> None:
    for _ in range(3):
        sent()
    provider.unauthorised = True
    ingest_next()
    provider.unauthorised = False
    wait_for()
    for _ in range(3):
        ingest_next()
    assert (stored(), AccountPause.objects.count()) == (3, 0)


def test_a_trial_whose_worker_dies_does_not_end_the_trials(sent: Sent, provider: SimulatedProvider) -> None:
    for _ in range(2):
        sent()
    provider.unauthorised = True
    ingest_next()
    wait_for()
    assert Media.objects.claim() is not None
    assert Media.objects.claim() is None
    provider.unauthorised = False
    wait_for()
    ingest_next()
    ingest_next()
    assert (stored(), AccountPause.objects.count()) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_one_worker_alone_gets_the_trial(announced: Announced) -> None:
    for _ in range(8):
        announced()
    AccountPause.objects.pause(
        source="meta", account="106540352242922", cause="unauthorized", reason="why", length=timedelta(0)
    )

    def claim() -> UUID | None:
        lease = Media.objects.claim()
        return lease.media.id if lease else None

    claims = race([claim] * 6)
    assert len([claim for claim in claims if claim]) == 1


# --- providers that ask to slow down ---------------------------------------------------


def test_an_account_that_shall_slow_down_is_left_alone_as_long_as_asked(
    announced: Announced, hostile: HostileProvider
) -> None:
    announced(source="url", account="", url=hostile.url("429"))
    announced(source="url", account="", url=hostile.url("photo"))
    ingest_next()
    ingest_next()
    left = AccountPause.objects.get().until - datetime.now(UTC)
    assert timedelta(seconds=5) < left <= timedelta(seconds=8)
    assert (stored(), Media.objects.claim()) == (0, None)
    wait_for(files=False)
    ingest_next()
    assert (stored(), AccountPause.objects.count()) == (1, 0)


@pytest.mark.parametrize("behaviour", ["api-429", "api-401"])
def test_a_file_that_alone_is_refused_does_not_hold_up_the_others(
    announced: Announced, hostile: HostileProvider, settings: Settings, behaviour: str
) -> None:
    settings.META_GRAPH_URL, settings.META_ACCESS_TOKEN = hostile.base, ["token"]
    refused = announced(provider_media_id=behaviour, occurred_at=datetime.now(UTC) - timedelta(days=6))
    announced(provider_media_id="photo")
    ingest_next()
    # The pause is over, and the sweeper has come round.
    past = AccountPause.objects.get().until - datetime.now(UTC) + BEHIND / 2
    AccountPause.objects.update(until=Now())
    Media.objects.update(next_attempt_at=F("next_attempt_at") - past)
    ingest_next()
    assert stored() == 1
    refused.refresh_from_db()
    assert refused.state == State.RETRYING


# --- what became of each attempt ------------------------------------------------------------


def test_each_attempt_leaves_its_answer(sent: Sent, provider: SimulatedProvider) -> None:
    media = sent()
    provider.down = True
    ingest_next()
    wait_for()
    Media.objects.claim()
    Media.objects.update(lease_until=Now() - timedelta(seconds=1))
    provider.down = False
    ingest_next()
    told = list(media.fetch_attempts.order_by("id").values_list("number", "outcome", "answer"))
    assert [each[:2] for each in told] == [(1, Outcome.FAILED), (2, Outcome.LOST), (3, Outcome.STORED)]
    assert "503" in told[0][2]
    assert told[1][2] == WORKER_LOST


def test_an_attempt_that_was_overtaken_is_not_told_as_a_failure(sent: Sent) -> None:
    sent()
    late = Media.objects.claim()
    assert late is not None
    Media.objects.update(lease_until=None)
    ingest_next()
    assert not Media.objects.mark_retrying(late, "too late", timedelta(0))
    assert not FetchAttempt.objects.filter(answer="too late").exists()
