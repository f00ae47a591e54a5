"""The outcome finds every deviation from what was announced, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.db import OperationalError, connection

from media_app.identity import parse_key
from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.storage import media_storage
from messages_app import inbox
from messages_app.models import Attachment, Contact, ContactOwner, Delivery, Message
from simulator.burst import Burst
from simulator.deliveries import SignedRequest
from simulator.ledger import Ledger
from simulator.outcome import Outcome, examine, wait_until_settled
from simulator.provider import SimulatedProvider

pytestmark = pytest.mark.django_db(transaction=True)


def burst(
    provider: SimulatedProvider, **values: Any
) -> tuple[list[SignedRequest], Ledger]:
    chosen = {"photos": 1, "senders": 2, "provider": "both", "mix": True, **values}
    return Burst(**chosen, api_url=provider.api_url, links=provider.cdn_url).build()


def receive(requests: list[SignedRequest]) -> None:
    """What the webhook and the inbox do with deliveries."""
    for request in requests:
        Delivery.objects.store(
            endpoint=request.path.split("/")[2],
            content_type=request.headers["Content-Type"],
            query="",
            body=request.body,
        )
    inbox.drain()


def fetch() -> None:
    """What the workers do with announced files."""
    while ingest_next():
        pass


@pytest.fixture
def stored(provider: SimulatedProvider) -> Ledger:
    """A burst that the hub has taken in and fetched."""
    requests, ledger = burst(provider)
    receive(requests)
    fetch()
    return ledger


def the_problem(outcome: Outcome) -> str:
    (problem,) = outcome.problems
    assert not outcome.is_complete
    return problem


def test_a_burst_that_was_kept_whole_has_no_problems(
    provider: SimulatedProvider, stored: Ledger
) -> None:
    assert wait_until_settled(stored, timeout=0)
    outcome = examine(stored)
    assert outcome.problems == ()
    assert outcome.is_complete
    assert (outcome.announced, outcome.stored, outcome.verified, outcome.objects) == (
        10,
        10,
        10,
        10,
    )
    assert (outcome.messages, outcome.contacts, outcome.doubled) == (12, 2, 0)
    assert provider.leaks == []


def test_the_table_has_a_line_for_each_provider_and_one_for_all(stored: Ledger) -> None:
    lines = examine(stored).table().splitlines()
    assert lines == [
        "       announced    stored  verified   waiting    failed",
        "meta           5         5         5         0         0",
        "twilio         5         5         5         0         0",
        "all           10        10        10         0         0",
        "12 messages, 2 contacts, 10 objects, 0 doubled",
    ]


def test_waiting_tells_how_far_it_is_and_ends_in_time(
    provider: SimulatedProvider,
) -> None:
    requests, ledger = burst(provider)
    receive(requests)
    told: list[tuple[int, int]] = []
    assert not wait_until_settled(
        ledger, timeout=0, on_progress=lambda done, total: told.append((done, total))
    )
    assert told == [(12, 22)]


def test_waiting_ends_when_a_file_came_to_a_bad_end(stored: Ledger) -> None:
    Media.objects.update(state="expired")
    assert wait_until_settled(stored, timeout=0)


def test_a_database_that_is_away_for_a_moment_is_waited_for(stored: Ledger) -> None:
    failures = [OperationalError("the server closed the connection")]

    def flaky(execute: Callable[..., Any], *call: Any) -> Any:
        if failures:
            raise failures.pop()
        return execute(*call)

    with connection.execute_wrapper(flaky):
        assert wait_until_settled(stored, timeout=10)
    assert not failures


def test_nothing_received_is_all_missing(provider: SimulatedProvider) -> None:
    _, ledger = burst(provider)
    assert not wait_until_settled(ledger, timeout=0)
    outcome = examine(ledger)
    assert (
        outcome.stored,
        outcome.messages,
        outcome.contacts,
        len(outcome.problems),
    ) == (0, 0, 0, 22)


def test_a_file_that_waits_is_told_with_its_reason(stored: Ledger) -> None:
    _first_media().update(state="retrying", last_error="The link answered 503.")
    outcome = examine(stored)
    assert "still retrying: The link answered 503." in the_problem(outcome)
    assert (
        outcome.stored,
        sum(tally.waiting for tally in outcome.tallies.values()),
    ) == (9, 1)


def test_a_file_that_failed_is_told_with_its_reason(stored: Ledger) -> None:
    _first_media().update(state="rejected", last_error="Too large.")
    outcome = examine(stored)
    assert "is rejected: Too large." in the_problem(outcome)
    assert sum(tally.failed for tally in outcome.tallies.values()) == 1


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"owner": "whatsapp:+14335550000"}, "its owner"),
        ({"sha256": "0" * 64}, "its sha256"),
        ({"occurred_at": "2026-01-01T00:00:00Z"}, "its time"),
        ({"key": "photo.jpeg"}, "its key"),
    ],
)
def test_a_row_that_says_something_else_is_a_problem(
    stored: Ledger, values: dict[str, Any], why: str
) -> None:
    _first_media().update(**values)
    outcome = examine(stored)
    assert why in the_problem(outcome)
    assert (outcome.stored, outcome.verified) == (10, 9)


def test_the_key_of_another_file_is_a_problem(stored: Ledger) -> None:
    media = _first_media().get()
    own_hex = media.id.hex[:12]
    _first_media().update(key=media.key.replace(own_hex, own_hex[::-1]))
    assert "its key is" in the_problem(examine(stored))


def test_other_bytes_in_the_bucket_are_found(stored: Ledger) -> None:
    media = _first_media().get()
    _put(media.key, b"\0" * (media.size or 0))
    outcome = examine(stored)
    assert "its bytes are others" in the_problem(outcome)
    assert outcome.verified == 9


def test_a_lost_object_is_found(stored: Ledger) -> None:
    media_storage().delete([_first_media().get().key])
    outcome = examine(stored)
    assert "the bucket has no object" in the_problem(outcome)
    assert outcome.objects == 9


def test_a_second_object_of_one_file_is_doubled(stored: Ledger) -> None:
    key = parse_key(_first_media().get().key)
    assert key is not None
    again = f"{key.owner}/{key.timestamp + 1}-{key.index}-{key.hex}.{key.extension}"
    _put(again, b"again")
    outcome = examine(stored)
    assert "in the bucket again" in the_problem(outcome)
    assert (outcome.doubled, outcome.objects) == (1, 11)


def test_a_second_row_of_one_file_is_doubled(stored: Ledger) -> None:
    media = _first_media().get()
    media.pk, media.key = "0f" * 16, f"{media.key}.again"
    media.save(force_insert=True)
    outcome = examine(stored)
    assert "a second row of its file" in the_problem(outcome)
    assert outcome.doubled == 1


def test_a_second_row_of_one_message_is_doubled(stored: Ledger) -> None:
    message = Message.objects.filter(kind="text")[0]
    message.pk = "0f" * 16
    message.save(force_insert=True)
    outcome = examine(stored)
    assert "a second row of its message" in the_problem(outcome)
    assert outcome.doubled == 1


def test_a_lost_message_is_found(stored: Ledger) -> None:
    Message.objects.filter(kind="text")[0].delete()
    outcome = examine(stored)
    assert "has no row" in the_problem(outcome)
    assert outcome.messages == 11


def test_lost_words_are_found(stored: Ledger) -> None:
    Message.objects.filter(id=Message.objects.filter(kind="text")[0].id).update(text="")
    assert "says ''" in the_problem(examine(stored))


def test_a_message_without_its_file_is_found(stored: Ledger) -> None:
    Attachment.objects.all()[0].delete()
    assert "holds 0 files" in the_problem(examine(stored))


def test_a_message_of_somebody_else_is_found(stored: Ledger) -> None:
    message = Message.objects.filter(kind="text")[0]
    stranger = Contact.objects.create(id="0f" * 16)
    Message.objects.filter(id=message.id).update(contact=stranger)
    assert "not its sender's" in the_problem(examine(stored))


def test_two_senders_in_one_contact_show_in_the_count(stored: Ledger) -> None:
    ContactOwner.objects.update(contact=Contact.objects.all()[0])
    assert examine(stored).contacts == 1


def test_other_files_of_the_same_senders_do_not_matter(
    provider: SimulatedProvider, stored: Ledger
) -> None:
    requests, _ = burst(provider, start=1_700_000_000)
    receive(requests)
    assert examine(stored).problems == ()


def _first_media() -> Any:
    """One file that came by Meta, as a queryset."""
    return Media.objects.filter(
        id=Media.objects.filter(source="meta").order_by("id")[0].id
    )


def _put(key: str, body: bytes) -> None:
    media_storage().put(
        key,
        BytesIO(body),
        size=len(body),
        content_type="image/jpeg",
        metadata={},
        replace=True,
    )
