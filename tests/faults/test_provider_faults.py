"""What providers do to a hub, from the announcement to the bucket: each kind of behaviour, and
where it leads.

How each behaviour is read is in tests/sources; here is one of each meaning.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from media_app.ingest import flow
from media_app.models import AccountPause, FetchAttempt, Media
from media_app.retry import MIN_ATTEMPTS
from tests.faults.hub import SECRET, Hub
from tests.sources.hostile import BODY, HostileProvider

pytestmark = [pytest.mark.django_db]

State = Media.State
RETRYING, REJECTED, EXPIRED, STORED = (
    State.RETRYING,
    State.REJECTED,
    State.EXPIRED,
    State.STORED,
)

# For what never ends; everything else has all the time that a slow machine needs.
DEADLINE = 0.2
LONG_DEADLINE = 120
WEEK = timedelta(days=7)
RIGHT, WRONG = hashlib.sha256(BODY), hashlib.sha256(b"another file")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A provider that goes on behaving so."""

    source: str
    behaviour: str
    first: State
    reason: str
    end: State
    #: What was announced.
    words: dict[str, Any] = field(default_factory=dict)
    #: What the Graph API says of the file instead of the truth.
    facts: dict[str, object] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def never_ends(self) -> bool:
        return "longer than" in self.reason

    @property
    def is_mendable(self) -> bool:
        """Whether it was the provider's fault, not the announcement's."""
        return self.end != STORED and not self.words.keys() & {"sha256", "size"}

    def __str__(self) -> str:
        return "-".join([self.source, self.behaviour, *self.words, *self.facts])


def case(
    source: str, behaviour: str, first: State, reason: str, end: State, **more: Any
) -> Case:
    return Case(
        source=source, behaviour=behaviour, first=first, reason=reason, end=end, **more
    )


NO_DIGEST = {"file_size": "", "sha256": ""}
LONG_AGO = {"occurred_at": datetime.now(UTC) - WEEK - timedelta(hours=1)}

# Source, behaviour, state after the first attempt, the reason that staff read, state in the end.
CASES = [
    # The file, whole.
    case("url", "photo", STORED, "", STORED),
    case("url", "chunked", STORED, "", STORED),
    case("meta", "photo", STORED, "", STORED),
    case("twilio", "photo", STORED, "", STORED),
    case("url", "redirect-here", STORED, "", STORED),
    case("meta", "photo", STORED, "", STORED, words={"sha256": RIGHT.hexdigest()}),
    case(
        "url",
        "photo",
        STORED,
        "",
        STORED,
        words={"content_type": "image/png", "sha256": RIGHT.hexdigest()},
    ),
    case("meta", "close-delimited", STORED, "", STORED),
    case("url", "close-delimited", RETRYING, "fetched again to compare", STORED),
    case(
        "meta",
        "close-delimited",
        RETRYING,
        "fetched again to compare",
        STORED,
        facts=NO_DIGEST,
    ),
    # The file, not whole or not right.
    case("url", "truncated", RETRYING, "broke off", RETRYING),
    case("meta", "truncated-close-delimited", RETRYING, "SHA-256 differs", REJECTED),
    case("url", "garbage", RETRYING, "could not be reached", RETRYING),
    case(
        "url",
        "photo",
        RETRYING,
        "bytes were announced",
        REJECTED,
        words={"size": len(BODY) + 1},
    ),
    case(
        "url",
        "photo",
        RETRYING,
        "SHA-256 differs",
        REJECTED,
        words={"sha256": WRONG.hexdigest()},
    ),
    case(
        "meta",
        "photo",
        RETRYING,
        "SHA-256 differs",
        REJECTED,
        facts={"sha256": WRONG.hexdigest()},
    ),
    case("meta", "other-bytes", RETRYING, "SHA-256 differs", REJECTED),
    case("url", "gzip", RETRYING, "compressed", REJECTED),
    case("url", "html", RETRYING, "text/html", RETRYING),
    case("url", "json", RETRYING, "json", RETRYING),
    case("url", "empty", RETRYING, "empty", RETRYING),
    # Never ending.
    case("url", "drip-body", RETRYING, "longer than 0.2 s", RETRYING),
    case("url", "slow-headers", RETRYING, "longer than 0.2 s", RETRYING),
    case("meta", "api-drip", RETRYING, "longer than 0.2 s", RETRYING),
    case(
        "url",
        "endless",
        REJECTED,
        "MEDIA_MAX_BYTES",
        REJECTED,
        settings={"MEDIA_MAX_BYTES": 4 * 1024 * 1024},
    ),
    # Elsewhere.
    case("url", "redirect-metadata", RETRYING, "169.254.169.254", RETRYING),
    case("meta", "redirect-metadata", RETRYING, "169.254.169.254", RETRYING),
    case("twilio", "redirect-metadata", RETRYING, "169.254.169.254", RETRYING),
    case("url", "redirect-loop", RETRYING, "redirect", RETRYING),
    case("url", "redirect-nowhere", RETRYING, "302", RETRYING),
    # Refused by a link: it is resolved again, whatever the link says.
    *(
        case("meta", status, RETRYING, status, RETRYING)
        for status in ("401", "404", "503")
    ),
    *(
        case("twilio", status, RETRYING, status, RETRYING)
        for status in ("401", "404", "500")
    ),
    # Refused by the API.
    case("meta", "api-401", RETRYING, "META_ACCESS_TOKEN is refused", RETRYING),
    case("meta", "api-permission", RETRYING, "code 10", RETRYING),
    case("meta", "api-gone", RETRYING, "does not have the file", RETRYING),
    case(
        "meta", "api-gone", RETRYING, "does not have the file", EXPIRED, words=LONG_AGO
    ),
    case("meta", "api-410", RETRYING, "410", RETRYING),
    case("twilio", "api-404", RETRYING, "does not have the file", RETRYING),
    case(
        "twilio",
        "photo",
        RETRYING,
        "TWILIO_ACCOUNT_SID is another one",
        RETRYING,
        words={"account": "AC02"},
    ),
    case("meta", "api-429", RETRYING, "429", RETRYING),
    case("meta", "api-503", RETRYING, "503", RETRYING),
    case("meta", "api-html", RETRYING, "can't be read", RETRYING),
    # Refused where there is no API.
    case("url", "403", RETRYING, "403", RETRYING),
    case("url", "404", RETRYING, "404", RETRYING),
    case("url", "429", RETRYING, "slow down", RETRYING),
    case("url", "503", RETRYING, "503", RETRYING),
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
        made.append(
            pytest.param(
                case, marks=[] if way in seen else [pytest.mark.both_databases]
            )
        )
        seen.add(way)
    return made


@pytest.mark.parametrize("case", each_way_on_both(), ids=str)
def test_where_a_behaviour_leads(
    hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    for name, value in case.settings.items():
        setattr(settings, name, value)
    hub.api.facts = case.facts
    hub.announce(case.source, case.behaviour, **case.words)
    monkeypatch.setattr(
        flow, "FETCH_DEADLINE_SECONDS", DEADLINE if case.never_ends else LONG_DEADLINE
    )
    row = hub.fetch()
    assert row.state == case.first
    assert case.reason in row.last_error
    assert_nothing_wrong_is_kept(hub)
    # The same again and again: what never ends is only cut sooner.
    monkeypatch.setattr(
        flow, "FETCH_DEADLINE_SECONDS", 0.1 if case.never_ends else LONG_DEADLINE
    )
    for _ in range(MIN_ATTEMPTS):
        if Media.objects.get().state in Media.WAITING:
            hub.fetch()
        assert_nothing_wrong_is_kept(hub)
    assert Media.objects.get().state == case.end
    for answer in filter(None, hub.answers()):
        assert_readable(answer)


@pytest.mark.parametrize("case", [case for case in CASES if case.is_mendable], ids=str)
def test_a_provider_that_comes_to_its_senses_is_never_too_late(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, settings: Settings, case: Case
) -> None:
    for name, value in case.settings.items():
        setattr(settings, name, value)
    hub.api.facts = case.facts
    hub.announce(case.source, case.behaviour, **case.words)
    monkeypatch.setattr(
        flow, "FETCH_DEADLINE_SECONDS", 0.1 if case.never_ends else LONG_DEADLINE
    )
    while Media.objects.get().state != case.end:
        hub.fetch()
    monkeypatch.setattr(flow, "FETCH_DEADLINE_SECONDS", LONG_DEADLINE)
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
    assert (
        len(hub.api.received(f"/{status}"))
        == len(hub.cdn.received(f"/{status}"))
        == MIN_ATTEMPTS + 1
    )


@pytest.mark.both_databases
@pytest.mark.parametrize("behaviour", ["api-401", "api-token", "api-error-200"])
def test_the_api_that_refuses_the_token_pauses_its_account(
    hub: Hub, behaviour: str
) -> None:
    hub.announce("meta", behaviour)
    assert hub.fetch().attempts == 0
    assert (
        AccountPause.objects.in_force().get().cause == AccountPause.Cause.UNAUTHORIZED
    )


def test_twilios_api_that_refuses_the_password_pauses_its_account(hub: Hub) -> None:
    hub.announce("twilio", "api-401")
    assert hub.fetch().attempts == 0
    assert AccountPause.objects.in_force().get().account == Media.objects.get().account


# --- links ------------------------------------------------------------------------------


def test_a_link_that_died_costs_no_attempt_where_the_id_leads_to_a_fresh_one(
    hub: Hub,
) -> None:
    now = datetime.now(UTC)
    hub.announce("meta", "photo", url=hub.cdn.url("404"), announced_at=now)
    row = hub.fetch()
    assert (row.state, row.attempts, hub.objects()) == (STORED, 1, {row.key: BODY})
    assert len(hub.api.received("/photo")) == 1
    assert [request.path for request in hub.cdn.received()] == [
        "/link/404",
        "/link/photo",
    ]


def test_credentials_do_not_follow_a_redirect_to_another_host(
    hub: Hub,
    elsewhere: HostileProvider,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    settings.META_MEDIA_HOSTS = [hub.cdn.host, elsewhere.host]
    hub.cdn.target = elsewhere.url("photo")
    hub.announce("twilio", "photo")
    hub.announce("meta", "redirect")
    for _ in range(2):
        flow.ingest_next()
    assert set(Media.objects.values_list("state", flat=True)) == {STORED}
    assert [request.headers["authorization"][:5] for request in hub.api.received()] == [
        "Beare",
        "Basic",
    ]
    (by_twilio,) = hub.cdn.received("/photo")
    (by_meta,) = elsewhere.received("/photo")
    assert "authorization" not in {**by_twilio.headers, **by_meta.headers}


def test_a_redirect_into_our_own_network_is_never_followed(
    hub: Hub, elsewhere: HostileProvider
) -> None:
    hub.cdn.target = elsewhere.url("photo")
    for source in ("url", "meta", "twilio"):
        hub.announce(source, "redirect")
    for _ in range(3):
        flow.ingest_next()
    assert set(Media.objects.values_list("state", flat=True)) == {RETRYING}
    assert not elsewhere.wait_connected(0.1)


# --- early, late, and never the same ----------------------------------------------------


@pytest.mark.both_databases
def test_twilio_announces_a_file_before_it_has_it(hub: Hub) -> None:
    now = datetime.now(UTC)
    hub.announce("twilio", "api-404", announced_at=now, occurred_at=now)
    for _ in range(MIN_ATTEMPTS + 1):
        assert hub.fetch().state == RETRYING
    assert Media.objects.get().next_attempt_at < datetime.now(UTC) + timedelta(
        seconds=5
    )
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


@pytest.mark.both_databases
def test_each_attempt_of_a_hard_way_is_told(hub: Hub) -> None:
    hub.announce("url", "503")
    for behaviour in ("503", "truncated", "html", "photo"):
        hub.move(behaviour)
        hub.fetch()
    told = FetchAttempt.objects.order_by("id").values_list(
        "number", "outcome", "answer"
    )
    assert [each[:2] for each in told] == [
        (1, "failed"),
        (2, "failed"),
        (3, "failed"),
        (4, "stored"),
    ]
    for (*_, answer), word in zip(
        told, ("503", "broke off", "text/html", ""), strict=True
    ):
        assert word in answer
