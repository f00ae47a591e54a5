from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models.functions import Now
from playwright.sync_api import Page, expect

from media_app import jobs
from tests.admin.rows import make_contact, make_media, make_message, photo


def test_staff_log_in_and_see_a_thumbnail_and_the_picture(page: Page) -> None:
    User.objects.create_superuser("root", password="root")
    media = make_media(photo(), filename="kitchen.jpeg", preview_due_at=Now())
    jobs.make_preview()
    make_message(make_contact(), media, text="the kitchen")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/admin/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("root")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("listitem").get_by_role(
        "link", name="perm_media Media", exact=True
    ).click()
    thumbnail = page.get_by_role("row").get_by_alt_text("photo from Ana")
    expect(thumbnail).to_have_js_property("naturalWidth", 320, timeout=60_000)
    thumbnail.click()
    picture = page.locator(".media-stage img")
    expect(picture).to_have_js_property("naturalWidth", 640, timeout=60_000)
    assert errors == []
