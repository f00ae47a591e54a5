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
    assert outcome.table().splitlines() == [
        "       announced    stored  verified   waiting    failed",
        "meta           5         5         5         0         0",
        "twilio         5         5         5         0         0",
        "all           10        10        10         0         0",
        "12 messages, 2 contacts, 10 objects, 0 doubled",
    ]
    assert provider.leaks == []


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
    assert (outcome.stored, outcome.messages, len(outcome.problems)) == (0, 0, 22)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"state": "retrying", "last_error": "503."}, "still retrying: 503."),
        ({"state": "rejected", "last_error": "Large."}, "is rejected: Large."),
        ({"owner": "whatsapp:+14335550000"}, "its owner"),
        ({"sha256": "0" * 64}, "its sha256"),
        ({"occurred_at": "2026-01-01T00:00:00Z"}, "its time"),
        ({"key": "photo.jpeg"}, "its key"),
    ],
)
def test_a_row_that_says_something_else_is_a_problem(
    stored: Ledger, values: dict[str, Any], why: str
) -> None:
    Media.objects.filter(id=first_file().id).update(**values)
    outcome = examine(stored)
    assert why in the_problem(outcome)
    assert outcome.verified == 9


def first_file() -> Media:
    return Media.objects.filter(source="meta").order_by("id")[0]


def a_text() -> Message:
    return Message.objects.filter(kind="text")[0]


def put(key: str, body: bytes) -> None:
    options: dict[str, Any] = {"content_type": "image/jpeg", "metadata": {}}
    media_storage().put(key, BytesIO(body), size=len(body), replace=True, **options)


def put_other_bytes() -> None:
    put(first_file().key, b"\0" * (first_file().size or 0))


def lose_the_object() -> None:
    media_storage().delete([first_file().key])


def put_it_again() -> None:
    key = parse_key(first_file().key)
    assert key is not None
    name = f"{key.timestamp + 1}-{key.index}-{key.hex}.{key.extension}"
    put(f"{key.owner}/{name}", b"again")


def double_the_file() -> None:
    media = first_file()
    media.pk, media.key = "0f" * 16, f"{media.key}.again"
    media.save(force_insert=True)


def double_the_message() -> None:
    message = a_text()
    message.pk = "0f" * 16
    message.save(force_insert=True)


def lose_the_message() -> None:
    a_text().delete()


def lose_its_words() -> None:
    Message.objects.filter(id=a_text().id).update(text="")


def lose_its_file() -> None:
    Attachment.objects.all()[0].delete()


def give_it_to_a_stranger() -> None:
    stranger = Contact.objects.create(id="0f" * 16)
    Message.objects.filter(id=a_text().id).update(contact=stranger)


@pytest.mark.parametrize(
    ("fault", "why", "doubled"),
    [
        (put_other_bytes, "its bytes are others", 0),
        (lose_the_object, "the bucket has no object", 0),
        (put_it_again, "in the bucket again", 1),
        (double_the_file, "a second row of its file", 1),
        (double_the_message, "a second row of its message", 1),
        (lose_the_message, "has no row", 0),
        (lose_its_words, "says ''", 0),
        (lose_its_file, "holds 0 files", 0),
        (give_it_to_a_stranger, "not its sender's", 0),
    ],
)
def test_each_loss_and_double_is_found(
    stored: Ledger, fault: Callable[[], None], why: str, doubled: int
) -> None:
    fault()
    outcome = examine(stored)
    assert why in the_problem(outcome)
    assert outcome.doubled == doubled


def test_two_senders_in_one_contact_show_in_the_count(stored: Ledger) -> None:
    ContactOwner.objects.update(contact=Contact.objects.all()[0])
    assert examine(stored).contacts == 1


def test_other_files_of_the_same_senders_do_not_matter(
    provider: SimulatedProvider, stored: Ledger
) -> None:
    requests, _ = burst(provider, start=1_700_000_000)
    receive(requests)
    assert examine(stored).problems == ()
