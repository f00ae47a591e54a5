"""Messages that no webhook told of, imported from Twilio's list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from media_app import tombstones
from media_app.identity import computed_id
from media_app.models import Media
from media_app.sources.errors import SourceError, UnauthorizedError
from messages_app import inbox, listing
from messages_app.listing import Period
from messages_app.models import (
    Delivery,
    Message,
    MessageListing,
    OutboxItem,
    PhotoSession,
    QuarantinedItem,
)
from messages_app.providers import twilio_list
from messages_app.providers.base import OutgoingMessage
from messages_app.providers.twilio_sending import send
from simulator.ledger import AnnouncedMessage
from simulator.listener import Request, Response, json_response
from simulator.provider import SimulatedProvider
from simulator.vendor_answers import text
from tests.faults.crash import photo, twilio
from tests.messages.mail import ADA, BOB, SENT, arrive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

Answer = Callable[[Request, Any], Response]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_list, "FIRST_PAUSE", timedelta(0))


@pytest.fixture
def provider(provider: SimulatedProvider) -> SimulatedProvider:
    provider.heard.clear()
    provider.sends.clear()
    return provider


def said(
    number: int, words: str = "", *, owner: str = ADA, ago: int = 0
) -> AnnouncedMessage:
    """A photo by Twilio, or with ``words`` a text; sent so many seconds before the others."""
    message = replace(photo(number, "twilio"), owner=owner, sent_at=SENT - ago)
    if words:
        return replace(message, file=None, kind="text", text=words)
    return message


def listed(**period: Any) -> tuple[int, int]:
    """Import once: how many messages the list had, and how many were new."""
    pages = list(listing.import_listed(Period(**period)))
    imported = [id for page in pages for id in page.imported]
    assert len(set(imported)) == len(imported)
    return sum(page.listed for page in pages), len(imported)


def rows() -> dict[str, int]:
    return {
        model.__name__: model._base_manager.count()
        for model in (
            Message,
            Media,
            Delivery,
            PhotoSession,
            OutboxItem,
            QuarantinedItem,
        )
    }


def test_what_no_webhook_brought_is_imported_once(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_list, "PAGE_SIZE", 4)
    provider.hear(
        said(1, "SELL"), *(said(number, ago=number) for number in range(2, 10))
    )
    assert listed() == (9, 9)
    first = rows()
    assert first == {
        "Message": 9,
        "Media": 8,
        "Delivery": 9,
        "PhotoSession": 0,
        "OutboxItem": 0,
        "QuarantinedItem": 0,
    }
    assert listed() == (9, 0)
    assert rows() == first
    assert set(Delivery.objects.values_list("times_seen", flat=True)) == {1}


def test_a_listed_message_has_the_time_that_twilio_says(
    provider: SimulatedProvider,
) -> None:
    provider.hear(said(1, ago=20 * 24 * 3600))
    assert listed() == (1, 1)
    message, media = Message.objects.get(), Media.objects.get()
    at = datetime.fromtimestamp(provider.heard[0].sent_at, UTC)
    assert (message.occurred_at, message.time_assumed, message.origin) == (
        at,
        False,
        "listed",
    )
    assert media.key.startswith(f"{ADA}/{int(at.timestamp())}-0-")


def test_a_webhook_that_came_before_wins(provider: SimulatedProvider) -> None:
    provider.hear(said(1), said(2))
    arrive(twilio(said(1)))
    assert listed() == (2, 1)
    origins = Message.objects.values_list("provider_message_id", "origin")
    assert sorted(origins) == [
        (said(1).message_id, "live"),
        (said(2).message_id, "listed"),
    ]


def test_a_late_webhook_makes_the_same_message_live(
    provider: SimulatedProvider,
) -> None:
    provider.hear(said(1, "SELL"), said(2))
    listed()
    before = set(Media.objects.values_list("id", "key"))
    arrive(twilio(said(1, "SELL")), twilio(said(2)))
    inbox.drain()
    assert set(Message.objects.values_list("origin", flat=True)) == {"live"}
    assert Message.objects.count() == 2
    assert not any(message.versions.exists() for message in Message.objects.all())
    assert set(Media.objects.values_list("id", "key")) == before
    assert PhotoSession.objects.count() == 1


def test_a_late_webhook_does_not_make_it_later(provider: SimulatedProvider) -> None:
    provider.hear(said(1))
    listed()
    message = Message.objects.get()
    arrive(twilio(said(1)))
    inbox.drain()
    first = message.received_at
    message.refresh_from_db()
    assert (message.origin, message.received_at) == ("live", first)


def test_erased_messages_are_not_listed_again(
    provider: SimulatedProvider, settings: Settings
) -> None:
    settings.ERASURE_KEY = ["0123456789abcdef0123456789abcdef"]
    provider.hear(said(1), said(2))
    id = computed_id("twilio", said(1).account, said(1).message_id)
    tombstones.add([tombstones.digest_of(str(id))], uuid4())
    assert listed() == (2, 1)
    assert Delivery.objects.count() == 1


def test_what_the_business_sent_is_left_out(provider: SimulatedProvider) -> None:
    send(
        OutgoingMessage(
            account=provider.accounts.twilio_account_sid,
            business="+14155238886",
            to=ADA,
            text="hello",
            reference="1",
        )
    )
    assert len(provider.sends) == 1
    assert listed() == (0, 0)


def test_a_period_and_a_sender_choose(provider: SimulatedProvider) -> None:
    hour = 3600
    provider.hear(*(said(number, ago=number * hour) for number in range(1, 5)))
    provider.hear(said(9, owner=BOB, ago=2 * hour))
    since, until = (datetime.fromtimestamp(SENT - ago * hour, UTC) for ago in (3, 1))
    assert listed(since=since, until=until, owner=ADA) == (2, 2)
    assert not MessageListing.objects.exists()
    assert listed() == (5, 3)


def test_it_goes_on_where_it_ended(provider: SimulatedProvider) -> None:
    old = said(1, ago=10 * 24 * 3600)
    provider.hear(old)
    assert listed() == (1, 1)
    assert listed() == (0, 0)
    # Whoever asks for less leaves a gap: the next list begins where the last one without ended.
    MessageListing.objects.update(read_until=datetime.now(UTC) - timedelta(days=20))
    assert listed(since=datetime.now(UTC) - timedelta(days=5)) == (0, 0)
    assert listed() == (1, 0)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_twilio_is_asked_again(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    provider.hear(said(1))
    answers = iter([status] * (twilio_list.TRIES - 1))

    def instead(answer: Answer, request: Request, match: Any) -> Response:
        if refused := next(answers, None):
            return text(refused, "Later", {"Retry-After": "0"})
        return answer(request, match)

    intercept(provider, monkeypatch, instead)
    assert listed() == (1, 1)


def test_a_list_that_breaks_off_is_read_again(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_list, "PAGE_SIZE", 2)
    provider.hear(*(said(number) for number in range(1, 6)))
    pages = iter(range(2))

    def instead(answer: Answer, request: Request, match: Any) -> Response:
        if next(pages, None) is None:
            return text(503, "Down")
        return answer(request, match)

    with monkeypatch.context() as broken, pytest.raises(SourceError):
        intercept(provider, broken, instead)
        listed()
    assert Message.objects.count() == 4
    assert not MessageListing.objects.exists()
    assert listed() == (5, 1)


def test_credentials_go_to_the_list_alone(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def instead(answer: Answer, request: Request, match: Any) -> Response:
        elsewhere = "@127.0.0.2/2010-04-01/Accounts/AC1/Messages.json?Page=1"
        return json_response(200, {"messages": [], "next_page_uri": elsewhere})

    intercept(provider, monkeypatch, instead)
    with pytest.raises(twilio_list.UnreadableListError):
        listed()


def test_a_list_without_end_is_left(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_list, "MAX_PAGES", 3)
    asked: list[Request] = []

    def instead(answer: Answer, request: Request, match: Any) -> Response:
        asked.append(request)
        again = f"{request.path}?{request.query}"
        return json_response(200, {"messages": [], "next_page_uri": again})

    intercept(provider, monkeypatch, instead)
    with pytest.raises(twilio_list.UnreadableListError):
        listed()
    assert len(asked) == 3


def test_refused_credentials_are_no_empty_list(provider: SimulatedProvider) -> None:
    provider.unauthorised = True
    try:
        with pytest.raises(UnauthorizedError):
            listed()
    finally:
        provider.unauthorised = False
    assert not MessageListing.objects.exists()


def test_a_file_that_is_no_longer_listed_is_seen(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.hear(said(1))
    monkeypatch.setattr(
        provider._twilio,
        "list_media",
        lambda request, match: json_response(200, {"media_list": []}),
    )
    assert listed() == (1, 1)
    assert QuarantinedItem.objects.get().path == "MediaUrl0"


def intercept(
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    instead: Callable[[Answer, Request, Any], Response],
) -> None:
    """Let the list be answered so; the first argument answers it as Twilio does."""
    answer = provider._twilio.list_messages
    monkeypatch.setattr(
        provider._twilio,
        "list_messages",
        lambda request, match: instead(answer, request, match),
    )
