"""Fifty messages that Twilio received while the hub was down, and a backfill that is killed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from media_app import rate
from media_app.models import CommandRun, Media
from messages_app.models import Delivery, Message, OutboxItem, PhotoSession
from messages_app.providers import twilio_list
from simulator.ledger import AnnouncedMessage
from simulator.provider import SimulatedProvider
from tests.faults.crash import an_hour_passes, dies_at, objects, photo, twilio
from tests.messages.mail import SENT, arrive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

#: Where a process dies while it reads the list.
LISTING = ("listing_after_store", "listing_before_mark")
MESSAGES = 50


@pytest.fixture(autouse=True)
def small_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "FILES_PER_SECOND", 10_000)
    monkeypatch.setattr(twilio_list, "PAGE_SIZE", 20)


def said(number: int) -> AnnouncedMessage:
    """Each of five customers says SELL, then sends photos."""
    owner = f"whatsapp:+1433555{number % 5:04}"
    message = replace(photo(number, "twilio"), owner=owner, sent_at=SENT + number)
    if number < 5:
        return replace(message, file=None, kind="text", text="SELL")
    return message


def backfill() -> dict[str, Any]:
    """Run it; its counts."""
    out = StringIO()
    call_command("backfill_media", "--list-messages", "--json", stdout=out)
    counts: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])["counts"]
    return counts


def its_leases_run_out() -> None:
    an_hour_passes()
    CommandRun.objects.update(lease_until=Now() - timedelta(seconds=1))


def test_a_killed_backfill_is_run_again(provider: SimulatedProvider) -> None:
    messages = [said(number) for number in range(MESSAGES)]
    provider.heard[:] = messages
    # One webhook came through.
    arrive(twilio(messages[7]))
    dies_at("listing_after_store", backfill)
    its_leases_run_out()
    dies_at("listing_before_mark", backfill)
    its_leases_run_out()
    dies_at("ingest_after_put", backfill, times=20)
    with pytest.raises(CommandError) as refused:
        backfill()
    assert refused.value.returncode == 11
    its_leases_run_out()
    backfill()
    assert_all_is_there()
    assert backfill() == {"messages_listed": MESSAGES, "messages_imported": 0}
    assert_all_is_there()


def assert_all_is_there() -> None:
    origins = Counter(Message.objects.values_list("origin", flat=True))
    assert origins == {"listed": MESSAGES - 1, "live": 1}
    files = MESSAGES - 5
    assert Media.objects.filter(state="stored").count() == files == len(objects())
    assert Delivery.objects.exclude(state="processed").count() == 0
    assert not PhotoSession.objects.exists()
    assert not OutboxItem.objects.exists()
