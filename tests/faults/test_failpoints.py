"""A process dies at each point, in each state that the point can be reached in: the end is that of a run without faults."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import product

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from media_app import jobs as media_jobs
from media_app.identity import owner_prefix
from media_app.ingest import ingest_next
from media_app.models import AccountPause, Lease, Media
from media_app.retry import FEW
from media_app.storage import media_storage
from mediahub.env import BASE_DIR
from mediahub.simulator.content import Kind, content
from mediahub.simulator.deliveries import SignedRequest
from mediahub.simulator.provider import SimulatedProvider
from messages_app import inbox
from messages_app.models import Delivery
from tests.faults.crash import (
    ACCOUNTS,
    album,
    an_hour_passes,
    dies_at,
    end_state,
    forget_everything,
    photo,
    recover,
    twilio,
)
from tests.messages.mail import BOB, arrive, meta_bytes, post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases, pytest.mark.usefixtures("provider")]

State = Media.State
Stage = Callable[[], object]
Trouble = Callable[[SimulatedProvider, Settings], AbstractContextManager[None]]


def converges(stage: Stage, step: Stage, *deaths: str, redelivered: Sequence[SignedRequest] = ()) -> None:
    """From the stage on, with deaths at these points of the step one after the other, all ends as without them."""
    stage()
    step()
    recover()
    expected = end_state()
    forget_everything()
    stage()
    for point in deaths:
        dies_at(point, step)
        an_hour_passes()
    arrive(*redelivered)
    recover()
    assert end_state() == expected


# --- the webhook -------------------------------------------------------------------

ALBUM = (1, 2, 3)


def a_delivery() -> SignedRequest:
    return album(*map(photo, ALBUM))


def it_is_posted() -> None:
    assert post(a_delivery()).status_code == 200


def it_is_read() -> None:
    arrive(a_delivery())
    inbox.drain()


def nothing_came_before() -> None:
    pass


def other_deliveries_had_part_of_it() -> None:
    arrive(album(photo(2)), album(photo(3), photo(4)))
    inbox.drain()


BEFORE_THE_WEBHOOK: list[Stage] = [nothing_came_before, it_is_posted, it_is_read, other_deliveries_had_part_of_it]
AFTER_THE_COMMIT = ["webhook_after_commit", "webhook_after_hint"]


def named(case: object) -> str | None:
    """Stages and troubles by their names."""
    return getattr(case, "__name__", None)


@pytest.mark.parametrize("stage", BEFORE_THE_WEBHOOK, ids=named)
@pytest.mark.parametrize("point", ["webhook_before_commit", *AFTER_THE_COMMIT])
def test_a_webhook_that_died_is_sent_again_by_the_vendor(stage: Stage, point: str) -> None:
    converges(stage, it_is_posted, point, redelivered=[a_delivery()])


@pytest.mark.parametrize("stage", BEFORE_THE_WEBHOOK, ids=named)
@pytest.mark.parametrize("point", AFTER_THE_COMMIT)
def test_what_was_committed_needs_no_vendor_to_send_it_again(stage: Stage, point: str) -> None:
    converges(stage, it_is_posted, point)


# --- the inbox ---------------------------------------------------------------------


def it_is_posted_twice() -> None:
    it_is_posted()
    it_is_posted()


def it_is_replayed() -> None:
    it_is_read()
    Delivery.objects.all().replay()


def it_was_tried_twice_and_is_read_alone() -> None:
    it_is_posted()
    Delivery.objects.update(attempts=inbox.ALONE_FROM)


def part_of_it_is_known() -> None:
    other_deliveries_had_part_of_it()
    it_is_posted()


def part_of_it_is_known_and_it_is_read_alone() -> None:
    part_of_it_is_known()
    Delivery.objects.due().update(attempts=inbox.ALONE_FROM)


def others_wait_with_it() -> None:
    arrive(album(photo(5, "meta"), replace(photo(6), owner=BOB)), a_delivery(), album(photo(3), photo(4)))


def one_message_cannot_be_read() -> None:
    body = json.loads(a_delivery().body)
    body["entry"][0]["changes"][0]["value"]["messages"][1] = "no message"
    arrive(meta_bytes(json.dumps(body).encode(), ACCOUNTS.meta_app_secret))


def nothing_of_it_can_be_read() -> None:
    arrive(meta_bytes(b"no delivery", ACCOUNTS.meta_app_secret))


def it_brings_back_a_file_that_was_given_up() -> None:
    it_is_read()
    Media.objects.update(state=State.EXPIRED, last_error="The provider does not have the file.")
    arrive(album(replace(photo(1), message_id="wamid.forwarded")))


BEFORE_THE_INBOX: list[Stage] = [
    it_is_posted,
    it_is_posted_twice,
    it_is_replayed,
    it_was_tried_twice_and_is_read_alone,
    part_of_it_is_known,
    part_of_it_is_known_and_it_is_read_alone,
    others_wait_with_it,
    one_message_cannot_be_read,
    nothing_of_it_can_be_read,
    it_brings_back_a_file_that_was_given_up,
]
INBOX = [
    "inbox_after_count",
    "inbox_between_messages",
    "inbox_before_commit",
    "queue_after_take",
    "inbox_after_commit",
]


@pytest.mark.parametrize("stage", BEFORE_THE_INBOX, ids=named)
@pytest.mark.parametrize("point", INBOX)
def test_a_reader_that_died_leaves_the_rest_to_the_next(stage: Stage, point: str) -> None:
    converges(stage, inbox.drain, point)


# --- fetching: the states of a file ---------------------------------------------------


def pending() -> None:
    arrive(album(photo(1)))
    inbox.drain()


def pending_by_twilio() -> None:
    arrive(twilio(photo(1, "twilio")))
    # Twilio sends no time: without this, each run would have one of its own.
    Delivery.objects.update(received_at=photo_taken_at())
    inbox.drain()


def photo_taken_at() -> Now:
    return Now()


def claimed() -> Lease:
    lease = Media.objects.claim()
    assert lease is not None
    return lease


def lay(body: bytes, name: str = "", **metadata: str) -> None:
    """An object of the file, as an earlier run left it; under its own key or another name."""
    row = Media.objects.get()
    key = f"{owner_prefix(row.owner)}{name.format(row.id.hex[:12])}" if name else row.key
    media_storage().put(key, BytesIO(body), size=len(body), content_type="image/jpeg", metadata=metadata)
