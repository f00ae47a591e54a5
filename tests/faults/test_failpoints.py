"""A process dies at each point, in each state that it is reached in: the end is that of a run
without faults.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from media_app import jobs as media_jobs
from media_app.identity import owner_prefix
from media_app.ingest import ingest_next
from media_app.models import AccountPause, Media
from media_app.retry import MIN_ATTEMPTS
from media_app.storage import media_storage
from media_app.storage.base import MARKER
from mediahub.env import BASE_DIR
from messages_app import delivery_batches, inbox
from messages_app.models import Delivery
from simulator.deliveries import SignedRequest
from simulator.provider import SimulatedProvider
from tests.faults.crash import (
    ACCOUNTS,
    album,
    an_hour_passes,
    delete_everything,
    dies_at,
    end_state,
    objects,
    photo,
    recover,
    the_lost_are_noticed,
    twilio,
)
from tests.media.files import PHOTO, claimed
from tests.messages.mail import BOB, SENT, arrive, meta_bytes, post
from tests.storage.buckets import put

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("provider"),
]

State = Media.State
GONE = "The provider does not have the file."
OTHER_NAME = "1600000000-7-{}.bin"
Stage = Callable[[], object]
Trouble = Callable[[], AbstractContextManager[None]]


def converges(
    stage: Stage,
    step: Stage,
    *deaths: str,
    trouble: Trouble = nullcontext,
    redelivered: Sequence[SignedRequest] = (),
) -> dict[str, Any]:
    """From the stage on, with deaths at these points of the step one after the other, all ends as
    without them.

    Returns that end. Only the step meets the trouble.
    """
    expected = faultless(stage, step)
    stage()
    with trouble():
        for point in deaths:
            dies_at(point, step)
            the_lost_are_noticed()
    arrive(*redelivered)
    recover()
    assert end_state() == expected
    return expected


@cache
def faultless(stage: Stage, step: Stage) -> dict[str, Any]:
    """How it ends when nobody dies. Needs empty tables, and leaves them so."""
    stage()
    step()
    recover()
    end = end_state()
    delete_everything()
    return end


def named(case: object) -> str | None:
    """Stages and troubles by their names."""
    return getattr(case, "__name__", None)


def cases(*pairs: tuple[Stage, str]) -> list[Any]:
    """Pairs of a stage and a point; the first one of each point on both databases.

    What a death leaves behind in a database depends on the point, not on the stage before it.
    """
    made, seen = [], set[str]()
    for stage, point in pairs:
        marks = [] if point in seen else [pytest.mark.both_databases]
        made.append(pytest.param(stage, point, marks=marks))
        seen.add(point)
    return made


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


AFTER_THE_COMMIT = ["webhook_after_commit", "webhook_after_request"]
NEW: list[Stage] = [nothing_came_before, other_deliveries_had_part_of_it]


@pytest.mark.parametrize(
    ("stage", "point"),
    cases(
        *product([*NEW, it_is_posted, it_is_read], ["webhook_before_commit"]),
        *product([nothing_came_before, it_is_posted], AFTER_THE_COMMIT),
    ),
    ids=named,
)
def test_a_webhook_that_died_is_sent_again_by_the_vendor(
    stage: Stage, point: str
) -> None:
    converges(stage, it_is_posted, point, redelivered=[a_delivery()])


@pytest.mark.parametrize(
    ("stage", "point"), cases(*product(NEW, AFTER_THE_COMMIT)), ids=named
)
def test_what_was_committed_needs_no_vendor_to_send_it_again(
    stage: Stage, point: str
) -> None:
    converges(stage, it_is_posted, point)


# --- the inbox ---------------------------------------------------------------------


def it_is_replayed() -> None:
    it_is_read()
    Delivery.objects.all().replay()


def it_was_tried_twice_and_is_read_alone() -> None:
    it_is_posted()
    Delivery.objects.update(attempts=delivery_batches.ALONE_FROM)


def part_of_it_is_known() -> None:
    other_deliveries_had_part_of_it()
    it_is_posted()


def others_wait_with_it() -> None:
    arrive(
        album(photo(5, "meta"), replace(photo(6), owner=BOB)),
        a_delivery(),
        album(photo(3), photo(4)),
    )


def one_message_cannot_be_read() -> None:
    body = json.loads(a_delivery().body)
    body["entry"][0]["changes"][0]["value"]["messages"][1] = "no message"
    arrive(meta_bytes(json.dumps(body).encode(), ACCOUNTS.meta_app_secret))


def it_brings_back_a_file_that_was_given_up() -> None:
    it_is_read()
    Media.objects.update(state=State.EXPIRED, last_error=GONE)
    arrive(album(replace(photo(1), message_id="wamid.forwarded")))


#: What waits to be read, and how many files are stored in the end.
BEFORE_THE_INBOX: dict[Stage, int] = {
    it_is_posted: 3,
    it_is_replayed: 3,
    it_was_tried_twice_and_is_read_alone: 3,
    part_of_it_is_known: 4,
    others_wait_with_it: 6,
    one_message_cannot_be_read: 2,
    it_brings_back_a_file_that_was_given_up: 1,
}
INBOX = [
    "inbox_after_count",
    "inbox_between_messages",
    "inbox_before_commit",
    "queue_after_take",
    "inbox_after_commit",
]


# Deliveries are read in batches or alone: two ways with the same points.
WAYS = [it_is_posted, it_was_tried_twice_and_is_read_alone]
OTHERS = [stage for stage in BEFORE_THE_INBOX if stage not in WAYS]


@pytest.mark.parametrize(
    ("stage", "point"),
    cases(
        *product(WAYS, INBOX),
        *product(OTHERS, ["inbox_before_commit", "inbox_after_commit"]),
    ),
    ids=named,
)
def test_a_reader_that_died_leaves_the_rest_to_the_next(
    stage: Stage, point: str
) -> None:
    end = converges(stage, inbox.drain, point)
    stored = [row for row in end["Media"] if row["state"] == State.STORED]
    assert len(stored) == BEFORE_THE_INBOX[stage]


# --- fetching: the states of a file ---------------------------------------------------


def pending() -> None:
    arrive(album(photo(1)))
    inbox.drain()


def pending_by_twilio() -> None:
    arrive(twilio(photo(1, "twilio")))
    # Twilio sends no time: without this, each run would have one of its own.
    Delivery.objects.update(received_at=datetime.fromtimestamp(SENT, UTC))
    inbox.drain()


def fetching_by_a_worker_that_was_lost() -> None:
    pending()
    claimed()
    the_lost_are_noticed()


def on_trial_for_a_paused_account() -> None:
    pending()
    cause, length = AccountPause.Cause.UNAUTHORIZED, timedelta(minutes=5)
    Media.objects.mark_paused(claimed(), "401.", cause=cause, length=length)
    an_hour_passes()


def expired_and_revived() -> None:
    pending()
    Media.objects.mark_expired(claimed(), GONE)
    Media.objects.retry_now()


def missing_and_revived() -> None:
    pending()
    ingest_next()
    row = Media.objects.get()
    media_storage().delete([row.key])
    assert Media.objects.mark_missing(row.id)
    Media.objects.retry_now()


def deleted_and_sent_again() -> None:
    missing_and_revived()
    Media.objects.update(state=State.DELETED)
    arrive(album(replace(photo(1), message_id="wamid.forwarded")))
    inbox.drain()


def lay(body: bytes, name: str = "") -> None:
    """An object of the file, as an earlier run left it: under the file's own key or another
    name.
    """
    row = Media.objects.get()
    other = f"{owner_prefix(row.owner)}{name.format(row.id.hex[:12])}"
    put(media_storage(), other if name else row.key, body)


def wrong_bytes_in_the_bucket() -> None:
    pending()
    lay(b"wrong")


def wrong_bytes_under_another_name() -> None:
    pending()
    lay(b"wrong", OTHER_NAME)


def in_the_bucket() -> None:
    pending()
    lay(PHOTO.body)


def in_the_bucket_under_another_name() -> None:
    pending()
    lay(PHOTO.body, OTHER_NAME)


def in_the_bucket_without_any_digest() -> None:
    pending_by_twilio()
    lay(PHOTO.body)


#: The states that a file can be fetched from.
STATES: list[Stage] = [
    pending,
    fetching_by_a_worker_that_was_lost,
    on_trial_for_a_paused_account,
    expired_and_revived,
    missing_and_revived,
    deleted_and_sent_again,
]
REPLACED: list[Stage] = [
    wrong_bytes_in_the_bucket,
    wrong_bytes_under_another_name,
]
FETCHED: list[Stage] = [*STATES, pending_by_twilio, *REPLACED]
ADOPTED: list[Stage] = [
    in_the_bucket,
    in_the_bucket_under_another_name,
]
# Fetched all the same, to compare: then there is nothing to put.
COMPARED: list[Stage] = [in_the_bucket_without_any_digest]

# Tried in tests/media/test_purge.py.
PURGE = ["purge_after_claim", "purge_after_delete"]
CLAIM, PUT = ["ingest_after_claim"], ["storage_mid_put"]
FETCHING = [
    *CLAIM,
    *("ingest_mid_download", "ingest_before_put"),
    *PUT,
    *("ingest_after_put", "ingest_in_mark", "ingest_after_mark"),
]
# Each point once; and from each stage a death before there is an object, and one after.
DEATHS = [
    *product([pending], FETCHING),
    *product(FETCHED[1:], ["ingest_after_claim", "ingest_after_put"]),
    # The other one is tried below: its old object goes before the new one is there.
    *product(REPLACED[:1], PUT),
    *product(ADOPTED, ["ingest_after_claim", "ingest_in_mark"]),
    *product(COMPARED, ["ingest_mid_download", "ingest_in_mark"]),
]


@pytest.mark.parametrize(("stage", "point"), cases(*DEATHS), ids=named)
def test_a_worker_that_died_leaves_a_file_that_others_store_once(
    stage: Stage, point: str
) -> None:
    end = converges(stage, ingest_next, point)
    (row,), ((key, (digest, *_)),) = end["Media"], end["objects"].items()
    assert (row["state"], row["key"]) == (State.STORED, key)
    assert row["sha256"] == digest == PHOTO.sha256


@pytest.mark.parametrize(
    ("stage", "point"),
    cases(*product(FETCHED, ["ingest_after_put"]), *product(ADOPTED, CLAIM)),
    ids=named,
)
def test_what_is_in_the_bucket_is_not_asked_for_again(
    stage: Stage, point: str, provider: SimulatedProvider
) -> None:
    stage()
    dies_at(point, ingest_next)
    downloads, written = provider.downloads.total(), objects()
    recover()
    assert Media.objects.get().is_stored
    assert (provider.downloads.total(), objects()) == (downloads, written)


def test_a_death_between_wrong_and_right_bytes_leaves_the_file_its_key() -> None:
    wrong_bytes_under_another_name()
    dies_at("storage_mid_put", ingest_next)
    assert objects() == {}
    recover()
    row = Media.objects.get()
    digests = {key: digest for key, (digest, *_) in objects().items()}
    assert digests == {row.key: PHOTO.sha256}
    assert row.is_stored and "/1600000000-7-" not in row.key


@pytest.mark.parametrize("stage", [pending, wrong_bytes_under_another_name], ids=named)
def test_what_a_worker_that_died_left_on_the_disk_goes_with_the_senders_files(
    stage: Stage, media_root: Path
) -> None:
    stage()
    dies_at("storage_mid_put", ingest_next)
    recover()
    assert list(media_root.rglob("*.part"))
    media_storage().delete(list(objects()))
    assert list(media_root.iterdir()) == [media_root / MARKER]


@pytest.mark.parametrize(
    ("stage", "point"), cases(*product(STATES, ["queue_after_take"])), ids=named
)
def test_files_that_were_taken_for_queued_are_found_again(
    stage: Stage, point: str
) -> None:
    converges(stage, media_jobs.enqueue_fetches, point)


# --- fetching that fails -------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "drill"),
    cases(
        *product(STATES, ["down"]),
        *product([pending, on_trial_for_a_paused_account], ["unauthorised"]),
    ),
    ids=named,
)
def test_a_worker_that_dies_of_a_failure_loses_no_file(
    stage: Stage, drill: str, provider: SimulatedProvider
) -> None:
    @contextmanager
    def trouble() -> Iterator[None]:
        setattr(provider, drill, True)
        try:
            yield
        finally:
            setattr(provider, drill, False)

    end = converges(stage, ingest_next, "ingest_before_fail", trouble=trouble)
    assert [row["state"] for row in end["Media"]] == [State.STORED]


def too_large() -> None:
    pending()


def long_gone() -> None:
    pending()
    then = datetime.fromtimestamp(SENT, UTC)
    Media.objects.update(attempts=MIN_ATTEMPTS, expires_at=then)


@pytest.mark.parametrize(
    ("stage", "state", "reason"),
    [
        (too_large, State.REJECTED, "1,000 bytes"),
        (long_gone, State.EXPIRED, "not have the file"),
    ],
)
def test_a_worker_that_dies_of_a_failure_does_not_hide_the_reason(
    settings: Settings,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    stage: Stage,
    state: State,
    reason: str,
) -> None:
    settings.MEDIA_MAX_BYTES = 1000
    file = photo(1).file
    assert file is not None
    if stage is long_gone:
        monkeypatch.setattr(provider, "expired", {file.media_id})
    (row,) = converges(stage, ingest_next, "ingest_before_fail")["Media"]
    assert row["state"] == state and reason in row["last_error"]


# --- dying again and again -------------------------------------------------------------


@pytest.mark.parametrize("point", FETCHING)
@pytest.mark.both_databases
def test_a_file_whose_workers_die_again_and_again_is_stored_once(point: str) -> None:
    # After its object is there, nobody gets to the points before it any more.
    converges(
        pending,
        ingest_next,
        *[point] * (1 if point == "ingest_after_mark" else MIN_ATTEMPTS + 1),
    )


@pytest.mark.both_databases
def test_a_file_whose_workers_die_at_each_point_in_turn_is_stored_once() -> None:
    converges(pending, ingest_next, *FETCHING)


@pytest.mark.parametrize("point", INBOX)
@pytest.mark.both_databases
def test_a_delivery_whose_readers_die_as_often_as_they_may_is_read_whole(
    point: str,
) -> None:
    ends_it = point in {"queue_after_take", "inbox_after_commit"}
    converges(
        it_is_posted,
        inbox.drain,
        *[point] * (1 if ends_it else delivery_batches.QUARANTINED_FROM - 1),
    )


# --- and nowhere else ------------------------------------------------------------------


def test_every_point_where_a_process_can_be_made_to_die_is_tried() -> None:
    product, tests = (
        "".join(
            file.read_text() for app in apps for file in (BASE_DIR / app).rglob("*.py")
        )
        for apps in (("media_app", "messages_app"), ("tests",))
    )
    points = re.findall(r'failpoint\(\s*"(\w+)"', product)
    assert [point for point in points if f'"{point}"' not in tests] == []
