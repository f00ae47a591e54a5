"""Ids are computed, so that even two drains at once, with nothing to keep them apart, end in the
same rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from media_app.models import Media
from messages_app import inbox
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Delivery,
    DrainLease,
    Message,
)
from simulator.deliveries import SignedRequest
from tests.messages.mail import SENT, album, arrive, photo, post
from tests.messages.rows import all_rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def burst() -> list[SignedRequest]:
    """Forty deliveries of two photos from five people, half of the messages twice, names changing
    all the time.
    """
    random = Random(7)
    numbers = [*range(60), *random.sample(range(60), 20)]
    random.shuffle(numbers)
    photos = [
        photo(
            number,
            owner=f"whatsapp:+1555000000{number % 5}",
            name=f"Name {number}",
            sent_at=SENT + number,
        )
        for number in numbers
    ]
    return [album(*photos[start : start + 2]) for start in range(0, len(photos), 2)]


def at_once(work: Callable[[], None], threads: int) -> None:
    ready = threading.Barrier(threads)

    def run() -> None:
        try:
            ready.wait(180)
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(run) for _ in range(threads)]:
            future.result()


def test_drains_at_once_without_any_lease_end_in_the_same_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrive(*burst())
    inbox.drain()
    expected = all_rows()
    for model in (Attachment, Message, ContactOwner, Contact, Media):
        model._base_manager.all().delete()
    Delivery.objects.all().replay()
    monkeypatch.setattr(DrainLease, "acquire", uuid4)
    monkeypatch.setattr(DrainLease, "renew", lambda token: True)
    monkeypatch.setattr(inbox, "BATCH", 5)
    at_once(drain_until_nothing_is_due, 3)
    assert all_rows() == expected


def drain_until_nothing_is_due() -> None:
    while Delivery.objects.due().exists():
        try:
            inbox.drain()
        except OperationalError:
            # A deadlock: rolled back, still due.
            connection.close()


def test_fifty_times_the_same_webhook_at_once_is_one_row_seen_fifty_times() -> None:
    request = album(photo(1))
    post(request)

    def post_ten_times() -> None:
        for _ in range(10):
            assert post(request).status_code == 200

    at_once(post_ten_times, 5)
    assert Delivery.objects.get().times_seen == 51


def test_a_burst_read_by_many_drains_while_it_comes_in_is_read_once_and_whole() -> None:
    requests = burst()

    def post_and_drain() -> None:
        while requests:
            try:
                request = requests.pop()
            except IndexError:
                break
            assert post(request).status_code == 200
            inbox.drain()

    at_once(post_and_drain, 4)
    inbox.drain()
    assert (
        Message.objects.count()
        == Media.objects.count()
        == Attachment.objects.count()
        == 60
    )
    assert set(Delivery.objects.values_list("state", "attempts")) == {("processed", 1)}
    assert Contact.objects.count() == ContactOwner.objects.count() == 5
