"""What staff see of the status: on the front page, on every page, in the sidebar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis

from media_app.admin.machine_owned import change_url, list_url
from media_app.models import AccountPause, Media
from mediahub import health, status, status_cache
from mediahub.alerts import Alert, alerts
from messages_app.models import Delivery, QuarantinedItem
from tests.admin.conftest import Staff
from tests.admin.pages import page_of
from tests.admin.rows import (
    attempt,
    make_delivery,
    make_media,
    notice,
    pause,
    photo,
    quarantine,
)
from tests.media.bucket import name_buckets

FRONT = "/admin/"
LIST = "/admin/media_app/media/"
QUEUE_DOWN = "The queue (Redis) takes no jobs."
REFUSED = "Meta refuses the access token for number 555."


def ago(**span: float) -> datetime:
    return timezone.now() - timedelta(**span)


def told() -> list[Alert]:
    return alerts(status.collect())


def headlines() -> list[str]:
    return [alert.headline for alert in told()]


# --- all is well --------------------------------------------------------------


def test_all_is_well_when_the_queue_answers_and_nothing_waits_too_long(
    viewer: Client, redis: Redis
) -> None:
    make_media(photo())
    make_media(
        state="pending", announced_at=ago(minutes=4), next_attempt_at=ago(minutes=4)
    )
    assert told() == []
    assert "No problems found." in page_of(viewer, FRONT)
    assert 'class="banner ' not in page_of(viewer, LIST)


def test_a_file_that_has_its_next_attempt_before_it_waits_for_nobody(
    redis: Redis, db: None
) -> None:
    make_media(
        state="retrying",
        announced_at=ago(hours=3),
        next_attempt_at=timezone.now() + timedelta(minutes=9),
    )
    make_media(
        state="fetching",
        next_attempt_at=ago(hours=1),
        lease_until=timezone.now() + timedelta(seconds=20),
    )
    make_media(
        state="fetching", next_attempt_at=ago(hours=1), lease_until=ago(seconds=20)
    )
    assert headlines() == []


def test_a_pause_of_which_the_trial_is_just_due_lets_no_file_look_forgotten(
    redis: Redis, db: None
) -> None:
    make_media(state="retrying", next_attempt_at=ago(hours=1))
    pause(length=timedelta(seconds=-2))
    assert headlines() == [REFUSED]


# --- on every page ------------------------------------------------------------


@pytest.mark.parametrize(
    "address", [LIST, "/admin/messages_app/message/", "/admin/password_change/"]
)
def test_a_queue_that_is_down_shows_on_every_page(address: str, viewer: Client) -> None:
    assert QUEUE_DOWN in page_of(viewer, address)


def test_who_may_not_view_files_sees_no_banner_and_no_status(staff: Staff) -> None:
    pause()
    client = staff("messages_app.view_message")
    for address in (FRONT, "/admin/messages_app/message/"):
        page = page_of(client, address)
        assert QUEUE_DOWN not in page
        assert REFUSED not in page
        assert 'id="status"' not in page


def test_nobody_learns_anything_before_logging_in(client: Client, db: None) -> None:
    pause()
    page = page_of(client, "/admin/login/")
    assert QUEUE_DOWN not in page
    assert REFUSED not in page


def test_a_lifted_pause_leaves_at_once_whatever_is_remembered(
    viewer: Client, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_cache, "CACHE_SECONDS", 3600.0)
    pause()
    assert REFUSED in page_of(viewer, LIST)
    AccountPause.objects.lift(source="meta", account="555")
    assert "banner-text" not in page_of(viewer, LIST)


def test_work_that_waits_longer_than_five_minutes_shows_with_its_age(
    viewer: Client, redis: Redis
) -> None:
    make_media(
        state="pending",
        announced_at=ago(hours=2),
        next_attempt_at=ago(minutes=12, seconds=5),
    )
    make_delivery(state="received", received_at=ago(minutes=7, seconds=5))
    page = page_of(viewer, LIST)
    assert "A file has waited 12 min for a worker." in page
    assert "A delivery has waited 7 min to be read." in page


def test_files_that_wait_behind_slow_fetches_show_before_the_fetches_are_cut(
    redis: Redis, db: None
) -> None:
    for _ in range(8):
        make_media(
            state="fetching",
            next_attempt_at=ago(minutes=4),
            lease_until=timezone.now() + timedelta(seconds=40),
        )
    assert headlines() == []
    for _ in range(3):
        make_media(state="pending", next_attempt_at=ago(minutes=3, seconds=5))
    (alert,) = told()
    assert alert.headline == "3 files wait for a worker, the first for 3 min."
    assert alert.advice.startswith("8 others are being fetched.")


def test_public_copies_that_fail_are_told_of(
    viewer: Client, redis: Redis, settings: Settings
) -> None:
    tried: dict[str, Any] = {
        "public_key": "0000.jpeg",
        "public_lease_until": timezone.now(),
        "public_error": "AccessDenied (403)",
    }
    files = [
        make_media(photo(), is_public=is_public, public_bucket="public", **tried)
        for is_public in (True, False)
    ]
    make_media(photo())
    name_buckets(settings)
    removal, copy = told()
    assert (
        removal.headline == "1 file is no longer public, but the copy is still there."
    )
    assert copy.headline == "1 public file could not be copied."
    assert removal.advice.startswith("AccessDenied (403). Whoever knows the address")
    page = page_of(viewer, removal.links[0].url)
    assert {media.id for media in Media.objects.all() if str(media.id) in page} == {
        media.id for media in files
    }


def test_what_can_wait_is_told_on_the_front_page_alone(
    viewer: Client, redis: Redis
) -> None:
    quarantine(make_delivery())
    assert "1 part of a delivery could not be read." in page_of(viewer, FRONT)
    assert "banner-text" not in page_of(viewer, LIST)


def test_no_page_breaks_when_the_status_cannot_be_read(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> object:
        raise DatabaseError("canceling statement due to statement timeout")

    monkeypatch.setattr(status, "collect", broken)
    for address in (FRONT, LIST):
        assert "The status could not be read." in page_of(viewer, address)


def test_no_page_breaks_when_only_the_pauses_cannot_be_read(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> object:
        raise DatabaseError("no such table")

    monkeypatch.setattr(status_cache, "CACHE_SECONDS", 3600.0)
    page_of(viewer, FRONT)
    monkeypatch.setattr(status, "pauses", broken)
    assert "The status could not be read." in page_of(viewer, LIST)


# --- its cost -----------------------------------------------------------------


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        page_of(client, address)
    return len(captured)


def test_the_status_takes_the_same_few_queries_however_much_is_wrong(db: None) -> None:
    def taken() -> int:
        with CaptureQueriesContext(connection) as captured:
            alerts(status.collect())
        return len(captured)

    few = taken()
    for number in range(20):
        pause(str(number))
        attempt(make_media(state="expired", account=str(number)))
        quarantine(make_delivery(state="received"), path=str(number))
    assert taken() == few <= 14


def test_within_a_moment_a_second_page_asks_for_the_pauses_alone(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "/admin/password_change/"
    with CaptureQueriesContext(connection) as whole_status:
        status.collect()
    monkeypatch.setattr(status_cache, "CACHE_SECONDS", 3600.0)
    first, second = queries(viewer, address), queries(viewer, address)
    assert first - second == len(whole_status) - 1
    monkeypatch.setattr(status_cache, "CACHE_SECONDS", 0.0)
    assert queries(viewer, address) > second


# --- on the front page --------------------------------------------------------


def test_the_queue_being_down_is_told_with_how_long_work_has_waited(
    viewer: Client,
) -> None:
    make_media(state="pending", next_attempt_at=ago(minutes=3, seconds=5))
    page = page_of(viewer, FRONT)
    assert QUEUE_DOWN in page
    assert "The oldest work has waited 3 min." in page
    assert "No problems found." not in page


def test_with_the_queue_down_idle_workers_are_not_told_of_as_well(db: None) -> None:
    make_media(state="pending", next_attempt_at=ago(hours=1))
    assert headlines() == [QUEUE_DOWN]


def test_a_refused_account_is_told_with_its_files_and_what_to_do(
    viewer: Client,
) -> None:
    make_media(state="retrying")
    make_media(state="pending")
    make_media(state="retrying", account="666")
    paused = pause()
    page = page_of(viewer, FRONT)
    assert REFUSED in page
    assert "code 190" in page
    assert "2 files wait since" in page
    assert "Set META_ACCESS_TOKEN, restart the hub" in page
    assert change_url(paused) in page


def test_an_account_asked_to_slow_down_is_told_only_while_that_lasts(
    db: None, redis: Redis
) -> None:
    throttled = AccountPause.Cause.THROTTLED
    pause(cause=throttled, reason="429", length=timedelta(seconds=60))
    assert headlines() == ["Meta asks number 555 to slow down."]
    AccountPause.objects.update(until=ago(seconds=1))
    assert headlines() == []


@pytest.mark.parametrize(
    ("state", "hours", "is_told"),
    [
        *(("retrying", 23, True), ("missing", 1, True), ("rejected", 1, True)),
        *(
            ("retrying", 25, False),
            ("retrying", -1, False),
            ("expired", 1, False),
            ("deleted", 1, False),
        ),
    ],
)
def test_files_that_the_provider_forgets_within_a_day_are_told(
    state: str, hours: int, is_told: bool, db: None, redis: Redis
) -> None:
    soon = timezone.now() + timedelta(hours=hours, seconds=30)
    later = timezone.now() + timedelta(days=9)
    make_media(state=state, expires_at=soon, next_attempt_at=later)
    found = [alert for alert in told() if "The provider forgets" in alert.headline]
    assert [alert.headline for alert in found] == [
        "The provider forgets 1 file within 24 hours."
    ] * is_told
    assert all(f"Time runs out in {hours} h 0 min." in alert.advice for alert in found)


def test_the_link_to_files_that_run_out_lists_just_those(viewer: Client) -> None:
    running_out = make_media(
        state="retrying", expires_at=timezone.now() + timedelta(hours=3)
    )
    make_media(state="retrying")
    make_media(photo(), expires_at=timezone.now() + timedelta(hours=3))
    (alert,) = (alert for alert in told() if "forgets" in alert.headline)
    response = viewer.get(alert.links[0].url)
    assert list(response.context["cl"].result_list) == [running_out]


def test_the_link_to_an_accounts_files_lists_just_those(viewer: Client) -> None:
    mine = make_media(state="retrying")
    make_media(state="retrying", account="666")
    make_media(photo())
    pause()
    (alert,) = (alert for alert in told() if alert.headline == REFUSED)
    response = viewer.get(alert.links[1].url)
    assert list(response.context["cl"].result_list) == [mine]


def test_files_given_up_are_told_for_a_day(db: None, redis: Redis) -> None:
    attempt(make_media(state="expired"))
    attempt(make_media(state="rejected"))
    attempt(make_media(state="rejected"), ended_at=ago(hours=25))
    attempt(
        make_media(
            state="retrying", next_attempt_at=timezone.now() + timedelta(hours=1)
        )
    )
    assert headlines() == ["2 files were given up in the last 24 hours."]


def test_files_that_the_provider_lost_are_told_for_a_day(
    db: None, redis: Redis
) -> None:
    nothing_to_fetch: dict[str, Any] = {"provider_media_id": "", "url": ""}
    make_media(state="rejected", **nothing_to_fetch, announced_at=ago(hours=1))
    make_media(state="rejected", **nothing_to_fetch, announced_at=ago(hours=25))
    assert headlines() == ["1 file was given up in the last 24 hours."]


def test_fields_that_nothing_reads_are_told_by_name_and_media_in_them_is_an_alert(
    db: None, redis: Redis
) -> None:
    notice("account_update", times=12)
    notice("errors", error="131000: Something went wrong")
    notice("flows", has_media=True)
    assert headlines() == [
        "Files came where nothing reads them: flows × 1.",
        "The provider reports an error of the account: 131000: Something went wrong.",
        "ignored: account_update × 12",
    ]


def test_files_that_the_bucket_lost_are_told_until_they_are_back(
    db: None, redis: Redis
) -> None:
    lost = make_media(state="missing")
    assert headlines() == ["1 file is missing from storage."]
    Media.objects.filter(id=lost.id).retry_now()
    assert headlines() == []


def test_the_table_counts_each_state_and_leads_to_it(viewer: Client) -> None:
    for number, state in enumerate(
        ("pending", "fetching", "retrying", "expired", "rejected", "missing"), 1
    ):
        for _ in range(number):
            make_media(state=state, announced_at=ago(minutes=9 * number, seconds=5))
    make_delivery(state="received", received_at=ago(minutes=7, seconds=5))
    counts = {
        each["url"]: (each["count"], each["age"])
        for each in viewer.get(FRONT).context["counts"]
    }
    assert counts == {
        list_url(Media, state__exact="pending"): (1, "9 min"),
        list_url(Media, state__exact="fetching"): (2, "18 min"),
        list_url(Media, state__exact="retrying"): (3, "27 min"),
        list_url(Media, state__exact="expired"): (4, ""),
        list_url(Media, state__exact="rejected"): (5, ""),
        list_url(Media, state__exact="missing"): (6, ""),
        list_url(Delivery, state__exact="received"): (1, "7 min"),
        list_url(QuarantinedItem): (0, ""),
    }


def test_links_lead_only_where_one_may_go(staff: Staff) -> None:
    quarantine(make_delivery(state="received", received_at=ago(hours=1)))
    page = page_of(staff("media_app.view_media"), FRONT)
    assert "A delivery has waited 1 h 0 min to be read." in page
    assert "/admin/messages_app/" not in page


def test_what_was_given_up_has_its_number_in_the_sidebar(
    viewer: Client, staff: Staff
) -> None:
    for state in ("expired", "rejected", "missing", "retrying"):
        make_media(state=state)
    quarantine(make_delivery())
    items = viewer.get(LIST).context["sidebar_navigation"][0]["items"]
    badges = {item["title"]: item["badge"]() for item in items if item.get("badge")}
    shown = {title: badge for title, badge in badges.items() if badge}
    assert shown == {"Media": 3, "Quarantine": 1}
    Media.objects.all().delete()
    assert "uppercase min-w-[18px]" not in page_of(staff("media_app.view_media"), LIST)


def _oldest_pending(client: Client) -> int:
    return int(client.get("/readyz?full=1").json()["oldest_pending"].removesuffix(" s"))


@pytest.mark.django_db(transaction=True)
def test_readiness_tells_the_age_of_the_oldest_delivery_or_file(client: Client) -> None:
    health.forget()
    make_media(state="retrying", announced_at=ago(seconds=90))
    make_media(state="expired", announced_at=ago(days=30))
    assert 90 <= _oldest_pending(client) < 600
    make_delivery(state="received", received_at=ago(minutes=10))
    health.forget()
    assert _oldest_pending(client) >= 600
