"""What staff see of erasures: whom, until the end, and then only the certificate."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from messages_app.erasing import flow
from messages_app.models import Contact, ContactOwner, ErasureRequest
from tests.admin.conftest import Staff
from tests.admin.rows import make_contact

pytestmark = pytest.mark.django_db

LIST = "/admin/messages_app/erasurerequest/"
NUMBER = "+14335551212"


@pytest.fixture(autouse=True)
def key(settings: Settings) -> None:
    settings.ERASURE_KEY = ["0123456789abcdef0123456789abcdef"]
    settings.META_ACCESS_TOKEN = []


def requested() -> ErasureRequest:
    make_contact("Ada", f"whatsapp:{NUMBER}")
    return flow.request_erasure(f"whatsapp:{NUMBER}", requested_by="vera@hub")


def page(staff: Staff, path: str) -> str:
    client = staff("messages_app.view_erasurerequest", "media_app.view_media")
    return client.get(path).content.decode()


def test_an_open_request_names_whom_and_why_it_waits(staff: Staff) -> None:
    request = requested()
    Contact.objects.all().hold(True)
    flow.carry_out(request.id)
    shown = page(staff, f"{LIST}{request.id}/change/")
    assert NUMBER in shown and "on hold" in shown and "vera@hub" in shown


def test_a_done_one_shows_the_certificate_and_no_number(staff: Staff) -> None:
    request = requested()
    flow.carry_out(request.id)
    assert not ContactOwner.objects.exists()
    for path in (LIST, f"{LIST}{request.id}/change/"):
        shown = page(staff, path)
        assert "4335551212" not in shown and "1 contacts" in shown
    assert "done_at" in shown


def test_one_that_waits_too_long_is_an_alert(staff: Staff) -> None:
    request = requested()
    Contact.objects.all().hold(True)
    flow.carry_out(request.id)
    yesterday = timezone.now() - timedelta(days=1)
    ErasureRequest.objects.update(due_at=yesterday)
    shown = page(staff, "/admin/")
    assert "1 erasure waits." in shown and "overdue for" in shown
    assert NUMBER not in shown


def test_a_lost_key_is_an_alert(staff: Staff, settings: Settings) -> None:
    requested()
    client = staff("messages_app.view_erasurerequest", "media_app.view_media")
    words = "ERASURE_KEY is not the one"
    assert words not in client.get("/admin/").content.decode()
    for keys in ([], ["another" * 5]):
        settings.ERASURE_KEY = keys
        assert words in client.get("/admin/").content.decode()
