"""Photo sessions, what the hub said in them, and what staff can do about both."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis

from media_app.admin.machine_owned import change_url, list_url
from mediahub import status
from mediahub.alerts import alerts
from messages_app.models import Contact, OutboxItem, PhotoSession, SessionRebuild
from messages_app.summaries import summarize, with_links
from tests.admin.conftest import Staff
from tests.admin.pages import act, listed, offered, page_of, press, verb_url
from tests.admin.rows import (
    make_contact,
    make_media,
    make_message,
    make_reply,
    make_session,
    photo,
)

SESSIONS = "/admin/messages_app/photosession/"
REPLIES = "/admin/messages_app/outboxitem/"
CONTACTS = "/admin/messages_app/contact/"
LONG_AGO = timezone.now() - timedelta(hours=25)


def open_session(contact: Contact, **fields: Any) -> PhotoSession:
    """A session as its first message has made it."""
    message = make_message(
        contact, make_media(photo()), text="SELL", business="+15550001111"
    )
    at = message.occurred_at
    times = {
        "started_at": at,
        "last_at": at,
        "last_received_at": at,
        "message_ids": [str(message.id)],
    }
    session = make_session(
        contact, *message.media.all(), state="collecting", **{**times, **fields}
    )
    PhotoSession.objects.filter(id=session.id).update(anchor_id=message.id)
    return session


def ago(**span: float) -> datetime:
    return timezone.now() - timedelta(**span)


# --- the list -----------------------------------------------------------------


def test_the_list_tells_who_how_many_photos_and_what_became_of_the_replies(
    viewer: Client,
) -> None:
    contact, kept = make_contact("Ana Lucía"), make_media(photo())
    session = make_session(
        contact, kept, make_media(state="pending"), make_media(state="rejected")
    )
    for state in ("sent", "failed", "unknown", "sent"):
        make_reply(session, state=state)
    page = page_of(viewer, SESSIONS)
    assert "2 photos, 1 still on its way, 1 not accepted" in page
    assert f'href="{change_url(contact)}"' in page
    assert '<span class="badge badge-bad">1 not sent</span>' in page
    assert '<span class="badge badge-warn">1 perhaps sent</span>' in page
    assert f"{reverse('media-preview', args=[kept.id])}?size=320" in page


def test_the_same_photo_sent_twice_is_one_and_said_to_be_sent_again(
    viewer: Client,
) -> None:
    media = make_media(photo())
    session = make_session(make_contact(), media, media)
    assert "1 photo, 1 sent again" in page_of(viewer, session)


def test_sessions_are_found_by_name_any_number_id_state_and_day(viewer: Client) -> None:
    contact = make_contact("Ana", "whatsapp:+14335551212", "whatsapp:+14335551213")
    mine = make_session(contact)
    tom = make_contact("Tom", "whatsapp:+442079460958")
    make_session(tom, state="expired", started_at=ago(days=9))
    queries = (
        {"q": "ana"},
        {"q": "433 555-1213"},
        {"q": str(mine.id)},
        {"state__exact": "submitted"},
    )
    for query in (
        *queries,
        {"started_at_from": str(ago(days=2).date())},
        {"contact": str(contact.id)},
    ):
        assert listed(viewer, SESSIONS, **query) == [mine], query


# --- the page -----------------------------------------------------------------


def test_a_session_shows_its_photos_by_the_providers_time_and_its_details(
    viewer: Client,
) -> None:
    late, early = (
        make_media(photo(), occurred_at=ago(minutes=minutes)) for minutes in (1, 9)
    )
    session = make_session(make_contact(), late, early, details="A scratch on the top.")
    page = page_of(viewer, session)
    strip = page[page.index('class="strip"') :]
    assert strip.index(str(early.id)) < strip.index(str(late.id))
    assert "A scratch on the top." in page


def test_a_session_says_that_its_contact_never_answered(viewer: Client) -> None:
    session = make_session(make_contact(), make_media(photo()), is_unanswered=True)
    assert "submitted, no answer" in page_of(viewer, SESSIONS)
    assert "did not answer the question" in page_of(viewer, session)


def test_a_session_shows_each_reply_with_its_text_state_and_reason(
    viewer: Client,
) -> None:
    session = make_session(make_contact())
    failed = make_reply(
        session,
        "ack",
        "failed",
        said={"text": "Got it!"},
        last_error="The Graph API answered 400.",
    )
    make_reply(
        session, "hand_over", "sent", revision=2, said={"counts": {"photos": 14}}
    )
    page = page_of(viewer, session)
    for shown in (
        "Got it!",
        "not sent",
        "The Graph API answered 400.",
        "Revision 2, 14 photos",
        change_url(failed),
    ):
        assert shown in page


def test_links_that_open_photos_without_a_login_are_for_those_who_may_make_them(
    viewer: Client, staff: Staff
) -> None:
    session = make_session(make_contact(), make_media(photo()))
    maker = staff(
        "messages_app.view_photosession",
        "messages_app.view_outboxitem",
        "media_app.change_media",
    )
    assert "token=" in page_of(maker, session)
    assert "token=" not in page_of(viewer, session)
    assert "Photos Provided: http://testserver/media/" in page_of(viewer, session)


@pytest.mark.parametrize("is_of_a_former_version", [True, False])
def test_the_page_of_a_hand_over_shows_no_link(
    is_of_a_former_version: bool, staff: Staff
) -> None:
    session = make_session(make_contact(), make_media(photo()), details="A scratch")
    said = summarize(session).as_data(1)
    item = make_reply(
        session, "hand_over", said=with_links(said) if is_of_a_former_version else said
    )
    maker = staff("messages_app.view_outboxitem", "media_app.change_media")
    page = page_of(maker, item)
    assert "A scratch" in page
    assert "token=" not in page


def test_a_session_keeps_to_the_permissions(staff: Staff) -> None:
    media = make_media(photo())
    session = make_session(make_contact(), media)
    item = make_reply(session, said={"text": "between us"})
    client = staff("messages_app.view_photosession")
    for address in (SESSIONS, change_url(session)):
        assert "size=320" not in page_of(client, address)
    assert "between us" not in page_of(client, session)
    assert client.get(change_url(item)).status_code == 403


def test_a_message_leads_to_the_session_that_it_is_a_part_of(viewer: Client) -> None:
    contact = make_contact()
    session = open_session(contact)
    inside, outside = contact.messages.get(), make_message(contact, text="later")
    assert change_url(session) in page_of(viewer, inside)
    assert change_url(session) not in page_of(viewer, outside)


# --- verbs of a session ---------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "state"), [("close", "submitted"), ("cancel", "cancelled")]
)
def test_staff_end_an_open_session(
    verb: str, state: str, superuser: Client, redis: Redis
) -> None:
    session = open_session(make_contact())
    assert offered(superuser, session) == ["Close session", "Cancel session"]
    assert "Nothing is said to its contact." in press(superuser, session, verb)
    session.refresh_from_db()
    assert session.state == state
    assert session.media_ids
    assert offered(superuser, session) == []


def test_a_session_that_staff_close_is_handed_over_and_its_sender_is_woken(
    superuser: Client, redis: Redis, settings: Settings
) -> None:
    settings.SESSION_WEBHOOK_URL = "http://127.0.0.1:1/"
    session = open_session(make_contact())
    assert "goes to the business" in press(superuser, session, "close")
    assert session.outbox.get(kind="hand_over").state == "queued"
    assert redis.llen("rq:queue:outbox") == 1


def test_a_session_that_is_over_stays_as_it_is(superuser: Client) -> None:
    session = make_session(make_contact())
    assert "1 session was over already" in press(superuser, session, "cancel")
    session.refresh_from_db()
    assert session.state == "submitted"


def test_a_summary_that_was_handed_over_goes_again(
    superuser: Client, redis: Redis
) -> None:
    session = make_session(make_contact())
    item = make_reply(session, "hand_over", "sent", revision=1)
    assert offered(superuser, session) == ["Resend summary"]
    assert "1 summary is sent again now." in press(superuser, session, "resend_summary")
    item.refresh_from_db()
    assert item.state == "queued"
    assert offered(superuser, session) == []


def test_a_session_without_a_hand_over_has_no_summary_to_send_again(
    superuser: Client,
) -> None:
    session = make_session(make_contact())
    make_reply(session, "ack", "sent")
    assert offered(superuser, session) == []
    assert "No summary is sent again" in press(superuser, session, "resend_summary")


def test_verbs_take_the_change_permission(viewer: Client) -> None:
    contact = make_contact()
    session = open_session(contact)
    item = make_reply(session, state="failed")
    for row, verb in (
        (session, "close"),
        (session, "cancel"),
        (item, "send_again"),
        (contact, "hold"),
    ):
        assert viewer.post(verb_url(row, verb)).status_code == 403
        assert offered(viewer, row) == []


# --- replies --------------------------------------------------------------------


@pytest.mark.parametrize("state", ["failed", "unknown"])
def test_a_reply_that_was_not_sent_for_certain_is_sent_again(
    state: str, superuser: Client, redis: Redis
) -> None:
    item = make_reply(make_session(make_contact()), state=state)
    assert offered(superuser, item) == ["Send again"]
    assert "1 reply is sent again now." in press(superuser, item, "send_again")
    item.refresh_from_db()
    assert item.state == "queued"
    assert redis.llen("rq:queue:outbox") == 1


def test_with_the_queue_down_staff_are_told_that_sending_waits(
    superuser: Client,
) -> None:
    item = make_reply(make_session(make_contact()), state="failed")
    assert "as soon as the queue answers again" in press(superuser, item, "send_again")


def test_a_reply_that_was_sent_or_comes_too_late_is_not_sent_again(
    superuser: Client,
) -> None:
    contact = make_contact()
    sent = make_reply(make_session(contact), state="sent")
    late = make_reply(make_session(contact, last_at=LONG_AGO), state="failed")
    for item, state in ((sent, "sent"), (late, "failed")):
        assert offered(superuser, item) == []
        assert "Nothing is sent again" in press(superuser, item, "send_again")
        item.refresh_from_db()
        assert item.state == state
    assert "It is too late to send it again." in page_of(superuser, late)


def test_a_hand_over_may_go_again_however_old_it_is(superuser: Client) -> None:
    item = make_reply(
        make_session(make_contact(), last_at=LONG_AGO), "hand_over", "failed"
    )
    assert offered(superuser, item) == ["Send again"]


def test_a_reply_that_perhaps_arrived_warns_of_saying_it_twice(viewer: Client) -> None:
    item = make_reply(
        make_session(make_contact()), state="unknown", last_error="It was cut off."
    )
    page = page_of(viewer, item)
    assert "It was cut off." in page
    assert "With Send again they may get it twice." in page


def test_replies_are_found_by_state_kind_name_and_session(viewer: Client) -> None:
    session = make_session(make_contact("Ana"))
    mine = make_reply(session, "ack", "failed")
    other = make_session(
        make_contact("Tom", "whatsapp:+442079460958"), owner="whatsapp:+442079460958"
    )
    make_reply(other, "hand_over", "sent")
    queries = (
        {"state__exact": "failed"},
        {"kind__exact": "ack"},
        {"q": "ana"},
        {"q": "433-555"},
    )
    for query in (*queries, {"q": str(session.id)}):
        assert listed(viewer, REPLIES, **query) == [mine], query


# --- contacts -------------------------------------------------------------------


def test_staff_hold_a_contact_and_release_the_hold(superuser: Client) -> None:
    contact = make_contact()
    assert offered(superuser, contact) == ["Hold"]
    assert "nothing that they sent is deleted" in press(superuser, contact, "hold")
    assert Contact.objects.get().is_held
    for address in (CONTACTS, change_url(contact)):
        assert '<span class="badge badge-warn">on hold</span>' in page_of(
            superuser, address
        )
    assert offered(superuser, contact) == ["Release hold"]
    assert "no longer on hold" in press(superuser, contact, "release_hold")
    assert not Contact.objects.get().is_held
    assert "badge-warn" not in page_of(superuser, contact)


def test_a_contacts_page_shows_the_sessions_to_those_who_may_see_them(
    viewer: Client, staff: Staff
) -> None:
    contact = make_contact()
    session = make_session(contact, make_media(photo()))
    theirs = make_session(make_contact("Tom", "whatsapp:+442079460958"))
    page = page_of(viewer, contact)
    assert change_url(session) in page
    assert change_url(theirs) not in page
    assert change_url(session) not in page_of(
        staff("messages_app.view_contact"), change_url(contact)
    )


# --- what staff are told ----------------------------------------------------------


def told() -> dict[str, str]:
    return {alert.headline: alert.advice for alert in alerts(status.collect())}


def test_replies_that_can_still_be_sent_again_are_told_and_counted(
    viewer: Client, redis: Redis
) -> None:
    contact = make_contact()
    session, old = make_session(contact), make_session(contact, last_at=LONG_AGO)
    for state in ("failed", "unknown", "sent", "queued"):
        make_reply(session, state=state)
    make_reply(old, "ack", "failed")
    make_reply(old, "hand_over", "failed")
    assert list(told()) == ["3 replies were not sent, or perhaps not."]
    items = viewer.get(REPLIES).context["sidebar_navigation"][0]["items"]
    assert [item["badge"]() for item in items if item["title"] == "Replies"] == [3]
    OutboxItem.objects.update(state="sent")
    assert told() == {}


def test_a_hand_over_that_keeps_failing_is_told_with_what_was_answered(
    viewer: Client, redis: Redis
) -> None:
    session = make_session(make_contact())
    item = make_reply(
        session,
        "hand_over",
        "queued",
        attempts=2,
        last_error="The business's address answered 503.",
    )
    assert told() == {}
    OutboxItem.objects.filter(id=item.id).update(attempts=3)
    advice = told()["The business does not take 1 summary."]
    assert "answered 503" in advice
    assert "SESSION_WEBHOOK_URL" in advice
    assert "The business does not take 1 summary." in page_of(viewer, SESSIONS)


# --- sessions that could not be rebuilt ---------------------------------------


def test_a_conversation_that_fails_is_an_alert_until_it_is_rebuilt(
    superuser: Client, redis: Redis
) -> None:
    session = open_session(make_contact("Ana"))
    line = {
        "provider": session.provider,
        "account": session.account,
        "business": session.business,
    }
    row = SessionRebuild.objects.create(
        contact=session.contact, since=session.started_at, error="no luck", **line
    )
    assert "The sessions of 1 conversation could not be rebuilt." in [
        a.headline for a in alerts(status.collect())
    ]
    for page in (list_url(SessionRebuild), change_url(row)):
        assert "no luck" in page_of(superuser, page)
        assert "Ana" in page_of(superuser, page)
    act(superuser, "retry", row)
    assert not SessionRebuild.objects.exists()
    assert "rebuilt" not in " ".join(
        alert.headline for alert in alerts(status.collect())
    )
