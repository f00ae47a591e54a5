"""A webhook that is refused says why, in the log and to staff."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from mediahub import status
from mediahub.alerts import alerts
from messages_app import refusals, webhooks
from messages_app.models import WebhookRefusal
from messages_app.refusals import Refusals
from tests.messages.mail import CLIENT, album, photo, post, twilio, twilio_form

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

META = album(photo(1))
TWILIO = twilio(photo(1, provider="twilio"))


@pytest.fixture(autouse=True)
def _nothing_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "refusals", Refusals())


def told() -> list[str]:
    return [
        f"{alert.headline} {alert.advice}"
        for alert in alerts(status.collect())
        if "refused" in alert.headline
    ]


@pytest.mark.parametrize(
    ("request_", "name", "value", "said"),
    [
        (META, "META_APP_SECRET", [], "META_APP_SECRET is not set."),
        (
            META,
            "META_APP_SECRET",
            ["another"],
            "META_APP_SECRET is not the secret of the app",
        ),
        (TWILIO, "TWILIO_AUTH_TOKEN", [""], "TWILIO_AUTH_TOKEN is not set."),
        (
            TWILIO,
            "TWILIO_AUTH_TOKEN",
            ["another"],
            "wrong for http://testserver/webhooks/twilio/: TWILIO_AUTH_TOKEN is",
        ),
        (
            TWILIO,
            "PUBLIC_URL",
            "https://old.example",
            "PUBLIC_URL is wrong: Twilio called http://testserver/webhooks/",
        ),
        (
            TWILIO,
            "PUBLIC_URL",
            "https://testserver",
            "and https://testserver/webhooks/twilio/ was checked.",
        ),
    ],
)
def test_each_cause_is_told_apart(
    request_: object,
    name: str,
    value: object,
    said: str,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    setattr(settings, name, value)
    assert post(request_, Host="testserver").status_code == 403  # type: ignore[arg-type]
    (line,) = [
        record for record in caplog.records if record.message == "webhook refused"
    ]
    assert said in line.reason  # type: ignore[attr-defined]
    (alert,) = told()
    assert said in alert


def test_neither_query_nor_number_is_told(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/webhooks/twilio/?token=abcdef"
    request = twilio_form(
        {"From": "whatsapp:+14335551212", "MessageSid": "SM1"},
        path,
        public_url="https://a.example",
    )
    settings.ALLOWED_HOSTS = ["*"]
    assert post(request, Host="a.example").status_code == 403
    said = str(
        [
            record.__dict__
            for record in caplog.records
            if record.name == refusals.__name__
        ]
    )
    assert "https://a.example/webhooks/twilio/" in said
    assert "abcdef" not in said and "4335551212" not in said


def test_who_signs_nothing_raises_no_alert() -> None:
    assert (
        CLIENT.post(
            "/webhooks/meta/", b"{}", content_type="application/json"
        ).status_code
        == 403
    )
    assert told() == []


def test_many_refusals_are_one_row_that_is_seldom_written(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.META_APP_SECRET = []
    for _ in range(20):
        post(META)
    assert WebhookRefusal.objects.get().count == 1
    monkeypatch.setattr(refusals, "REFUSAL_WRITE_SECONDS", 0)
    post(META)
    assert WebhookRefusal.objects.get().count == 21
    assert "21 webhooks were refused at /webhooks/meta/" in told()[0]


def test_what_is_accepted_ends_the_alert(settings: Settings) -> None:
    settings.META_APP_SECRET, right = [], settings.META_APP_SECRET
    post(META)
    WebhookRefusal.objects.update(last_at=timezone.now() - timedelta(minutes=1))
    assert told()
    settings.META_APP_SECRET = right
    post(META)
    assert told() == []


def test_a_database_that_is_down_does_not_change_the_answer(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.META_APP_SECRET = []
    with connection.execute_wrapper(_fail):
        assert post(META).status_code == 403
    assert "a refused webhook was not counted" in caplog.messages


def test_a_refused_handshake_is_logged_without_its_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        CLIENT.get(
            "/webhooks/meta/",
            {
                "hub.mode": "subscribe",
                "hub.verify_token": "abcdef",
                "hub.challenge": "1",
            },
        )
    assert "handshake refused" in caplog.messages
    own = [
        record for record in caplog.records if record.name.startswith("messages_app")
    ]
    assert "abcdef" not in str([record.__dict__ for record in own])


def _fail(*args: object) -> object:
    from django.db import OperationalError

    raise OperationalError("the database is down")
