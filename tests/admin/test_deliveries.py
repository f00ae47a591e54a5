from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from redis import Redis

from messages_app.admin.raw import pretty_body, pretty_json
from messages_app.models import Delivery
from tests.admin.conftest import Staff
from tests.admin.pages import act, page_of, press, verb_url
from tests.admin.rows import json_body, make_delivery, make_message, quarantine

LIST = "/admin/messages_app/delivery/"
QUARANTINE = "/admin/messages_app/quarantineditem/"


def test_a_delivery_shows_its_body_its_state_and_what_could_not_be_read(
    viewer: Client,
) -> None:
    delivery = make_delivery(
        json_body({"entry": [{"id": "1029"}]}), state="partial", times_seen=4
    )
    item = quarantine(delivery, path="entry[0].changes[0]", error="no id there")
    html = page_of(viewer, delivery)
    assert "      &quot;id&quot;: &quot;1029&quot;" in html
    assert "read in part" in html
    assert "entry[0].changes[0]" in html
    assert "no id there" in html
    assert reverse("admin:messages_app_quarantineditem_change", args=[item]) in html


def test_a_deliverys_page_keeps_to_the_permissions(staff: Staff) -> None:
    message = make_message(None, text="between us")
    assert message.delivery
    quarantine(message.delivery, error="no id there")
    html = page_of(
        staff("messages_app.view_delivery"), f"{LIST}{message.delivery_id}/change/"
    )
    assert "between us" not in html
    assert "no id there" not in html


def test_the_list_shows_state_repeats_and_unreadable_parts(viewer: Client) -> None:
    delivery = make_delivery(
        b"{", state="failed", times_seen=7, last_error="It is not JSON."
    )
    quarantine(delivery, path="a")
    quarantine(delivery, path="b")
    response = viewer.get(LIST)
    html = response.content.decode()
    assert '<span class="badge badge-bad">unreadable</span>' in html
    assert "It is not JSON." in html
    assert [
        (row.times_seen, row.items_unread, row.bytes)
        for row in response.context["cl"].result_list
    ] == [(7, 2, 1)]


def test_the_list_does_not_read_the_bodies(viewer: Client) -> None:
    make_delivery()
    (row,) = viewer.get(LIST).context["cl"].result_list
    assert row.get_deferred_fields() == {"body"}


def test_a_form_is_shown_field_by_field() -> None:
    body = b"From=whatsapp%3A%2B1433&Body=Hello+%26+welcome&Empty="
    assert pretty_body(body, "application/x-www-form-urlencoded") == (
        "From: whatsapp:+1433\nBody: Hello & welcome\nEmpty: "
    )


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'"\\ud83d"', b"NaN"]
)
def test_any_body_can_be_shown(viewer: Client, body: bytes) -> None:
    delivery = make_delivery(body)
    assert viewer.get(f"{LIST}{delivery.id}/change/").status_code == 200
    assert pretty_body(body, "application/x-www-form-urlencoded") is not None


def test_half_a_character_stays_spelled_out() -> None:
    assert pretty_json({"name": "\ud83d!"}) == '{\n  "name": "\\ud83d!"\n}'


def test_a_huge_body_is_cut_and_the_rest_is_counted(viewer: Client) -> None:
    delivery = make_delivery(b"x" * 1_200_000)
    html = page_of(viewer, delivery)
    assert "… and 1,000,000 more characters." in html
    assert len(html) < 400_000


def test_replaying_deliveries_makes_them_due_and_wakes_the_inbox(
    staff: Staff, redis: Redis
) -> None:
    delivery, other = (
        make_delivery(state="failed", last_error="x", attempts=5),
        make_delivery(state="failed"),
    )
    client = staff("messages_app.change_delivery")
    assert "1 delivery is read again now." in act(client, "replay", delivery)
    assert list(Delivery.objects.due()) == [delivery]
    assert Delivery.objects.get(id=delivery.id).attempts == 0
    assert Delivery.objects.get(id=other.id).state == "failed"
    assert redis.llen("rq:queue:inbox") == 1


def test_replaying_while_the_queue_is_down_is_not_lost(staff: Staff) -> None:
    delivery = make_delivery(state="failed")
    html = press(staff("messages_app.change_delivery"), delivery, "replay")
    assert "as soon as the queue answers again" in html
    assert list(Delivery.objects.due()) == [delivery]


def test_a_quarantined_part_shows_itself_and_its_delivery(viewer: Client) -> None:
    delivery = make_delivery(state="partial")
    item = quarantine(
        delivery, path="entry[0]", error="no id there", payload={"type": "image"}
    )
    for address in (QUARANTINE, f"{QUARANTINE}{item}/change/"):
        html = page_of(viewer, address)
        assert "no id there" in html
        assert reverse("admin:messages_app_delivery_change", args=[delivery.id]) in html
    assert "&quot;type&quot;: &quot;image&quot;" in html


def test_replaying_a_quarantined_part_replays_its_delivery_alone(staff: Staff) -> None:
    delivery, other = make_delivery(state="partial"), make_delivery(state="partial")
    item = quarantine(delivery)
    quarantine(other)
    staff("messages_app.change_quarantineditem").post(
        f"{QUARANTINE}{item}/verb/replay/"
    )
    assert list(Delivery.objects.due()) == [delivery]


def test_replay_takes_the_change_permission(viewer: Client) -> None:
    delivery = make_delivery(state="failed")
    item = quarantine(delivery)
    assert viewer.post(verb_url(delivery, "replay")).status_code == 403
    assert viewer.post(f"{QUARANTINE}{item}/verb/replay/").status_code == 403
    act(viewer, "replay", delivery)
    assert not Delivery.objects.due().exists()


def test_the_sidebar_leads_to_notices_and_rebuilds(staff: Staff) -> None:
    page = staff(
        "messages_app.view_deliverynotice", "messages_app.view_sessionrebuild"
    ).get("/admin/")
    shown = [
        item["title"]
        for item in page.context["sidebar_navigation"][0]["items"]
        if item["has_permission"]
    ]
    assert shown == ["Notices", "Rebuilds"]
