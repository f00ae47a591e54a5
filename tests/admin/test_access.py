from __future__ import annotations

import re
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from media_app.models import AccountPause, Media
from messages_app.models import (
    Contact,
    Delivery,
    Message,
    MessageStatus,
    OutboxItem,
    PhotoSession,
    QuarantinedItem,
)
from tests.admin.conftest import Staff
from tests.admin.pages import page_of
from tests.admin.rows import (
    attempt,
    make_contact,
    make_delivery,
    make_media,
    make_message,
    make_reply,
    make_session,
    pause,
    photo,
    quarantine,
)

MODELS: tuple[type[Model], ...] = (
    *(Media, Message, Contact, PhotoSession, OutboxItem),
    *(Delivery, QuarantinedItem, MessageStatus, AccountPause),
)
LISTS = {
    model: f"/admin/{model._meta.label_lower.replace('.', '/')}/" for model in MODELS
}
EVIL = "<script>alert('x')</script>"
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)


def make_rows(count: int, text: str = "harmless") -> None:
    """So many rows of each kind, with words of strangers wherever they may write."""
    for number in range(count):
        contact = make_contact(
            text, f"whatsapp:+1433{User.objects.count()}{uuid4().int % 10**9}{number}"
        )
        files = [
            make_media(photo(), filename=text, announced_type=text, url=text),
            make_media(
                state="rejected", last_error=text, filename=text, provider_media_id=text
            ),
        ]
        attempt(files[1], answer=text)
        pause(f"{text}{number}", reason=text)
        message = make_message(
            contact, *files, text=text, owner=text, raw={text: text}, payload=text
        )
        session = make_session(contact, *files, details=text, business=text)
        make_reply(session, "ack", "failed", said={"text": text}, last_error=text)
        make_reply(session, "hand_over", "sent", said={"text": text})
        assert message.delivery
        Delivery.objects.filter(id=message.delivery_id).update(
            last_error=text, query=text, body=text.encode()
        )
        quarantine(message.delivery, path=text, error=text, payload=[text])
        MessageStatus.objects.create(
            id=uuid4(),
            message_id=uuid4(),
            status=text[:32],
            rank=1,
            occurred_at=timezone.now(),
            error=text,
            reference=text,
            recipient=text,
            group_id=text,
            category=text,
            provider_message_id=text,
        )


def pages(model: type[Model]) -> list[str]:
    return [
        LISTS[model],
        *(f"{LISTS[model]}{row.pk}/change/" for row in model._default_manager.all()),
    ]


@each_model
def test_the_view_permission_is_enough_to_see_and_needed(
    model: type[Model], staff: Staff
) -> None:
    make_rows(1)
    permission = f"{model._meta.app_label}.view_{model._meta.model_name}"
    allowed, others = staff(permission), staff("auth.view_group")
    for address in pages(model):
        assert allowed.get(address).status_code == 200
        assert others.get(address).status_code == 403
        assert Client().get(address).status_code == 302


@each_model
def test_nothing_can_be_added_changed_or_deleted_not_even_by_a_superuser(
    model: type[Model], superuser: Client
) -> None:
    make_rows(1)
    before = list(model._default_manager.values())
    for row in model._default_manager.all():
        page = f"{LISTS[model]}{row.pk}"
        assert (
            superuser.post(
                f"{page}/change/", {"key": "x", "text": "x", "name": "x"}
            ).status_code
            == 403
        )
        assert superuser.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
        superuser.post(
            LISTS[model],
            {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
        )
    assert superuser.get(f"{LISTS[model]}add/").status_code == 403
    assert superuser.post(f"{LISTS[model]}add/", {}).status_code == 403
    assert list(model._default_manager.values()) == before


@each_model
def test_no_page_offers_to_edit(model: type[Model], superuser: Client) -> None:
    make_rows(1)
    for address in pages(model):
        html = page_of(superuser, address)
        for offer in (
            "delete_selected",
            'name="_save"',
            "/delete/",
            f"{LISTS[model]}add/",
        ):
            assert offer not in html, address


@each_model
def test_what_strangers_wrote_is_shown_as_text(
    model: type[Model], superuser: Client
) -> None:
    make_rows(1, EVIL)
    for address in [*pages(model), "/admin/"]:
        html = page_of(superuser, address)
        assert "<script>alert(" not in html, address
        assert "alert(&#x27;x" in html or address == "/admin/", address


@each_model
def test_a_list_of_fifty_takes_no_more_queries_than_one_of_five(
    model: type[Model], superuser: Client
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert superuser.get(LISTS[model]).status_code == 200
        return len(captured)

    superuser.get(LISTS[model])
    make_rows(5)
    few = queries()
    make_rows(45)
    assert queries() == few


def test_a_contacts_page_takes_a_bounded_number_of_queries(superuser: Client) -> None:
    contact = make_contact()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert (
                superuser.get(f"{LISTS[Contact]}{contact.pk}/change/").status_code
                == 200
            )
        return len(captured)

    for _ in range(3):
        make_message(contact, make_media(photo()), text="few")
        make_session(contact, make_media(photo()))
    queries()
    few = queries()
    for _ in range(20):
        make_message(contact, make_media(photo()), text="many")
        make_session(contact, make_media(photo()))
    assert queries() == few


def test_the_front_page_leads_where_one_may_go(viewer: Client, staff: Staff) -> None:
    media = make_media(photo())
    html = page_of(viewer, "/admin/")
    for address in LISTS.values():
        assert (
            address in html or "messagestatus" in address or "accountpause" in address
        )
    assert str(media.id) in html
    html = page_of(staff("messages_app.view_contact"), "/admin/")
    assert LISTS[Contact] in html
    assert LISTS[Media] not in html
    assert str(media.id) not in html


def test_staff_without_permissions_find_a_page_that_says_so(staff: Staff) -> None:
    assert "You may not see anything here yet." in page_of(staff(), "/admin/")


def test_logging_in_at_the_door_leads_to_the_front_page(db: None) -> None:
    User.objects.create_superuser("root", password="root")
    client = Client()
    html = page_of(client, "/admin/login/")
    assert '<input type="hidden" form="login-form" name="next" value="/admin/">' in html
    # As a browser sends it; files of strangers are not taken in.
    form = urlencode({"username": "root", "password": "root", "next": "/admin/"})
    answer = client.post(
        "/admin/login/", form, content_type="application/x-www-form-urlencoded"
    )
    assert answer.headers["Location"] == "/admin/"


def test_a_rows_own_name_is_shown_as_it_is(superuser: Client) -> None:
    media = make_media(photo(), owner="whatsapp:US.13491208655302741918")
    quarantined = quarantine(make_delivery(), path="entry[0].changes[0]")
    html = page_of(superuser, media)
    assert f">{media.key}<" in re.sub(r"\s*\n\s*", "", html)
    assert "Whatsapp:US" not in html
    html = page_of(superuser, f"{LISTS[QuarantinedItem]}{quarantined}/change/")
    assert "entry[0].changes[0]" in html
    assert "Entry[0]" not in html
    assert "Quarantined items" in html
