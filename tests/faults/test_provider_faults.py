"""What providers do to a hub, from the announcement to the bucket: each kind of behaviour, and
where it leads.

How each behaviour is read is in tests/sources; here is one of each meaning.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from media_app.clock import database_now
from media_app.ingest import flow
from media_app.models import AccountPause, Media
from media_app.retry import MIN_ATTEMPTS
from tests.faults.hub import Hub
from tests.sources.calls import BODY, SECRET

pytestmark = [pytest.mark.django_db]

State = Media.State
RETRYING, REJECTED = State.RETRYING, State.REJECTED
EXPIRED, STORED = State.EXPIRED, State.STORED

# For what never ends; everything else has all the time that a slow machine needs.
DEADLINE = 0.2
LONG_DEADLINE = 120
RIGHT, WRONG = hashlib.sha256(BODY).hexdigest(), hashlib.sha256(b"other").hexdigest()
LONG_AGO = datetime.now(UTC) - timedelta(days=7, hours=1)


@dataclass(frozen=True)
class Case:
    """A provider that goes on behaving so."""

    source: str
    behaviour: str
    first: State
    #: What staff read after the first attempt.
    reason: str
    end: State
    #: What was announced.
    words: dict[str, Any] = field(default_factory=dict)
    #: What the Graph API says of the file instead of the truth.
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def deadline(self) -> float:
        return DEADLINE if "longer than" in self.reason else LONG_DEADLINE

    @property
    def is_mendable(self) -> bool:
        """Whether it was the provider's fault, not the announcement's."""
        return not self.words.keys() & {"sha256", "size"}

    def __str__(self) -> str:
        said = (f"{name} {str(value)[:6]}" for name, value in self.words.items())
        return "-".join([self.source, self.behaviour, *said, *self.facts])


def stored(source: str, behaviour: str, **more: Any) -> Case:
    return Case(source, behaviour, STORED, "", STORED, **more)


def retrying(
    source: str, behaviour: str, reason: str, end: State = RETRYING, **more: Any
) -> Case:
    return Case(source, behaviour, RETRYING, reason, end, **more)


# Source, behaviour, the reason that staff read, and the state in the end where it is another one.
CASES = [
    # The file, whole.
    *(stored(source, "photo") for source in ("url", "meta", "twilio")),
    *(stored("url", behaviour) for behaviour in ("chunked", "redirect-here")),
    stored("meta", "photo", words={"sha256": RIGHT}),
    stored("meta", "photo", words={"sha256": RIGHT}, facts={"sha256": WRONG}),
    stored("url", "photo", words={"content_type": "image/png", "sha256": RIGHT}),
    stored("meta", "close-delimited"),
    stored("url", "close-delimited", words={"size": len(BODY)}),
    stored("meta", "close-delimited", facts={"sha256": ""}),
    retrying("url", "close-delimited", "fetched again to compare", STORED),
    retrying(
        *("meta", "close-delimited", "fetched again to compare", STORED),
        facts={"file_size": "", "sha256": ""},
    ),
    # The file, not whole or not right.
    retrying("url", "truncated", "broke off"),
    retrying("meta", "truncated-close-delimited", "SHA-256 differs", REJECTED),
    retrying("url", "garbage", "could not be reached"),
    retrying(
        *("url", "photo", "bytes were announced", REJECTED),
        words={"size": len(BODY) + 1},
    ),
    retrying(
        *("meta", "close-delimited", "bytes were announced", REJECTED),
        facts={"file_size": len(BODY) + 1, "sha256": ""},
    ),
    retrying("url", "photo", "SHA-256 differs", REJECTED, words={"sha256": WRONG}),
    retrying("meta", "photo", "SHA-256 differs", REJECTED, words={"sha256": WRONG}),
    retrying("meta", "photo", "SHA-256 differs", REJECTED, facts={"sha256": WRONG}),
    retrying("meta", "other-bytes", "SHA-256 differs", REJECTED),
    retrying("url", "gzip", "compressed", REJECTED),
    retrying("url", "html", "text/html"),
    retrying("url", "html", "text/html", words={"content_type": ""}),
    retrying("url", "json", "json"),
    retrying("url", "empty", "empty"),
    # Never ending.
    retrying("url", "drip-body", "longer than 0.2 s"),
    retrying("url", "slow-headers", "longer than 0.2 s"),
    retrying("meta", "api-drip", "longer than 0.2 s"),
    Case("url", "endless", REJECTED, "MEDIA_MAX_BYTES", REJECTED),
    # Elsewhere.
    *(
        retrying(source, "redirect-metadata", "169.254.169.254")
        for source in ("url", "meta", "twilio")
    ),
    retrying("url", "redirect-loop", "redirect"),
    retrying("url", "redirect-nowhere", "302"),
    # Refused by a link: it is resolved again, whatever the link says.
    *(retrying("meta", status, status) for status in ("401", "404", "503")),
    *(retrying("twilio", status, status) for status in ("401", "404", "500")),
    # Refused by the API.
    retrying("meta", "api-401", "META_ACCESS_TOKEN is refused"),
    retrying("meta", "api-permission", "code 10"),
    retrying("meta", "api-gone", "does not have the file"),
    retrying(
        *("meta", "api-gone", "does not have the file", EXPIRED),
        words={"occurred_at": LONG_AGO},
    ),
    *(retrying("meta", f"api-{status}", status) for status in ("410", "429", "503")),
    retrying("meta", "api-html", "can't be read"),
    retrying("twilio", "api-404", "does not have the file"),
    retrying(
        *("twilio", "photo", "TWILIO_ACCOUNT_SID is another one"),
        words={"account": "AC02"},
    ),
    # Refused where there is no API.
    *(retrying("url", status, status) for status in ("403", "404", "503")),
    retrying("url", "429", "slow down"),
]


def assert_nothing_wrong_is_kept(hub: Hub) -> None:
    row = Media.objects.get()
    assert hub.objects() == ({row.key: BODY} if row.state == STORED else {})


def assert_readable(reason: str) -> None:
    assert reason.endswith(".") and len(reason) > 20
    assert not [part for part in (SECRET, "/link/", "Error") if part in reason]


def each_way_on_both() -> list[Any]:
    """All cases; of those that lead through the same states, the first one on both databases."""
    made, seen = [], set[tuple[State, State]]()
    for case in CASES:
        way = (case.first, case.end)
        marks = [] if way in seen else [pytest.mark.both_databases]
        made.append(pytest.param(case, marks=marks))
        seen.add(way)
    return made


@pytest.mark.parametrize("case", each_way_on_both(), ids=str)
def test_where_a_behaviour_leads_and_that_its_end_is_never_too_late(
    hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    settings.MEDIA_MAX_BYTES = 4 * 1024 * 1024
    hub.api.facts = case.facts
    hub.announce(case.source, case.behaviour, **case.words)
    with monkeypatch.context() as patch:
        patch.setattr(flow, "FETCH_DEADLINE_SECONDS", case.deadline)
        row = hub.fetch()
        assert row.state == case.first
        assert case.reason in row.last_error
        assert_nothing_wrong_is_kept(hub)
        for _ in range(MIN_ATTEMPTS):
            if Media.objects.get().state in Media.WAITING:
                hub.fetch()
            assert_nothing_wrong_is_kept(hub)
    assert Media.objects.get().state == case.end
    for answer in filter(None, hub.answers()):
        assert_readable(answer)
    if case.end != STORED and case.is_mendable:
        comes_to_its_senses(hub)


def comes_to_its_senses(hub: Hub) -> None:
    hub.api.facts = {}
    hub.move("photo")
    Media.objects.all().retry_now()
    row = hub.fetch()
    assert (row.state, row.last_error, AccountPause.objects.count()) == (STORED, "", 0)
    assert hub.objects() == {row.key: BODY}


# --- who is paused by what --------------------------------------------------------------


@pytest.mark.parametrize("source", ["meta", "twilio"])
@pytest.mark.parametrize("status", ["400", "401", "403", "404", "410"])
def test_a_link_that_is_refused_is_resolved_again_and_pauses_nobody(
    hub: Hub, source: str, status: str
) -> None:
    hub.announce(source, status)
    for _ in range(MIN_ATTEMPTS + 1):
        assert hub.fetch().state == RETRYING
    assert AccountPause.objects.count() == 0
    for asked in (hub.api, hub.cdn):
        assert len(asked.received(f"/{status}")) == MIN_ATTEMPTS + 1


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("source", "behaviour"),
    [("meta", each) for each in ("api-401", "api-token", "api-error-200")]
    + [("twilio", "api-401")],
)
def test_the_api_that_refuses_the_token_pauses_its_account(
    hub: Hub, source: str, behaviour: str
) -> None:
    media = hub.announce(source, behaviour)
    assert hub.fetch().attempts == 0
    pause = AccountPause.objects.in_force().get()
    assert pause.cause == AccountPause.Cause.UNAUTHORIZED
    assert pause.account == media.account


# --- links ------------------------------------------------------------------------------


# --- early, late, and never the same ----------------------------------------------------


@pytest.mark.both_databases
def test_twilio_announces_a_file_before_it_has_it(hub: Hub) -> None:
    now = datetime.now(UTC)
    hub.announce("twilio", "api-404", announced_at=now, occurred_at=now)
    for _ in range(MIN_ATTEMPTS + 1):
        assert hub.fetch().state == RETRYING
    soon = database_now() + timedelta(seconds=5)
    assert Media.objects.get().next_attempt_at < soon
    hub.move("photo")
    assert hub.fetch().state == STORED


@pytest.mark.both_databases
def test_an_id_that_is_gone_is_asked_for_until_seven_days_are_over_and_then_given_up(
    hub: Hub,
) -> None:
    hub.announce("meta", "api-gone")
    for _ in range(MIN_ATTEMPTS + 1):
        assert hub.fetch().state == RETRYING
    Media.objects.update(expires_at=Now() - timedelta(seconds=1))
    row = hub.fetch()
    assert (row.state, row.last_error) == (EXPIRED, hub.answers()[-1])
    assert_readable(row.last_error)


@pytest.mark.parametrize(
    ("source", "behaviour", "end"),
    [
        ("twilio", "api-404", EXPIRED),
        ("twilio", "api-403", REJECTED),
        ("meta", "api-permission", REJECTED),
        ("twilio", "redirect-metadata", REJECTED),
    ],
)
def test_a_refusal_ends_a_file_only_after_its_last_day(
    hub: Hub, source: str, behaviour: str, end: State
) -> None:
    hub.announce(source, behaviour)
    for _ in range(MIN_ATTEMPTS + 1):
        assert hub.fetch().state == RETRYING
    assert AccountPause.objects.count() == 0
    Media.objects.update(give_up_at=Now() - timedelta(seconds=1))
    row = hub.fetch()
    assert (row.state, row.last_error) == (end, hub.answers()[-1])


@pytest.mark.both_databases
def test_a_body_without_an_end_is_kept_only_as_two_fetches_agree(hub: Hub) -> None:
    hub.announce("url", "close-delimited")
    for body in (BODY[:1000], BODY[:2000], BODY[:3000], BODY):
        hub.cdn.body = body
        assert hub.fetch().state == RETRYING
        assert hub.objects() == {}
    row = hub.fetch()
    assert (row.state, hub.objects()) == (STORED, {row.key: BODY})
