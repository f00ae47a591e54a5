"""Signed deliveries with faults in them, each beside two good photos: ``make fuzz
DELIVERIES=10000``.

Every file of ``tests/providers/`` is a seed. A delivery is made by its number and SEED alone,
posted through the webhook and read by the inbox. All are answered 200, each good photo is there
once with its message, nothing is left unread, no fault of ours had to be caught, and the pages of
what was read open.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bench.fuzzed import ROUND, Fuzzed, from_meta, from_twilio
from media_app.admin.machine_owned import change_url
from media_app.models import Media
from messages_app import inbox
from messages_app.models import (
    Attachment,
    Delivery,
    Message,
    QuarantinedItem,
    SessionRebuild,
)
from tests.messages.mail import (
    post,
)

DELIVERIES = int(os.environ.get("DELIVERIES") or 200)
SEED = int(os.environ.get("SEED") or 1)
PAGES = 1


@pytest.fixture(scope="module")
def figures() -> Iterator[Counter[str]]:
    """What was counted, printed at the end."""
    found: Counter[str] = Counter()
    yield found
    print(
        f"\nSEED={SEED}:",
        ", ".join(f"{number:,} {name}" for name, number in found.items()),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("start", range(0, DELIVERIES, ROUND))
def test_no_fault_costs_a_good_photo(start: int, figures: Counter[str]) -> None:
    numbers = range(start, min(start + ROUND, DELIVERIES))
    fuzzed = {number: made(number) for number in numbers}
    sent = [
        (number, request)
        for number, each in fuzzed.items()
        for request in each.requests
    ]
    Random(SEED).shuffle(sent)
    answers = {(number, post(request).status_code) for number, request in sent}
    assert {answer for answer in answers if answer[1] != 200} == set()
    while inbox.drain():
        pass

    assert not Delivery.objects.filter(state="received").exists()
    assert lost(fuzzed) == []
    # Whatever failed was read without a fault of ours: no batch was taken a second time.
    assert not Delivery.objects.exclude(attempts=1).exists()
    assert not QuarantinedItem.objects.filter(
        error__contains="a fault of ours"
    ).exists()
    assert not SessionRebuild.objects.failing().exists()
    opened = broken_pages(start)
    assert {url for url, status in opened.items() if status != 200} == set()

    states = Counter(Delivery.objects.values_list("state", flat=True))
    figures.update(
        {
            "with faults": len(numbers),
            "photos": sum(len(each.photos) for each in fuzzed.values()),
        }
    )
    figures.update(
        {
            **states,
            "in quarantine": QuarantinedItem.objects.count(),
            "pages": len(opened),
        }
    )


def made(number: int) -> Fuzzed:
    random = Random(f"{SEED}/{number}")
    return (from_meta if random.random() < 0.7 else from_twilio)(random, number)


def lost(fuzzed: dict[int, Fuzzed]) -> list[tuple[int, str]]:
    """The good photos that are not there exactly once with their messages, by the numbers of their
    deliveries.
    """
    messages = Counter(Message.objects.values_list("provider_message_id", flat=True))
    files: Counter[str] = Counter()
    for id, url in Media.objects.values_list("provider_media_id", "url"):
        files[url or id] += 1
    pairs = Attachment.objects.values_list(
        "message__provider_message_id", "media__provider_media_id", "media__url"
    )
    attached = Counter((message, url or id) for message, id, url in pairs)
    return [
        (number, file)
        for number, each in fuzzed.items()
        for message, file in each.photos
        if (messages[message], files[file], attached[message, file]) != (1, 1, 1)
    ]


def broken_pages(start: int) -> dict[str, int]:
    """The pages of some of what was read, each with the status of its answer."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root", password="root"))
    random = Random(f"{SEED}/pages/{start}")
    rows: list[Any] = []
    for model in (Message, Delivery):
        rows += random.sample(list(model.objects.order_by("id")), PAGES)
    return {url: client.get(url).status_code for url in map(change_url, rows)}
