from __future__ import annotations

import os

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from playwright.sync_api import expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from media_app import jobs
from tests.admin.rows import make_contact, make_media, make_message, photo


@pytest.fixture(autouse=True)
def allow_orm_beside_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright keeps an event loop in this thread, which Django takes for asynchronous code."""
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")


def test_staff_log_in_and_see_a_thumbnail_and_the_picture(live_server: LiveServer, chromium: str) -> None:
    User.objects.create_superuser("root", password="root")
    media = make_media(photo(), filename="kitchen.jpeg", preview_due_at=Now())
    jobs.make_preview()
    make_message(make_contact(), media, text="the kitchen")
    errors: list[str] = []
    with sync_playwright() as playwright:
        options = (
            "no-sandbox",
            "disable-gpu",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
        )
        browser = playwright.chromium.launch(executable_path=chromium, args=[f"--{option}" for option in options])
        page = browser.new_page(base_url=live_server.url)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/admin/")
        page.get_by_label("Username").fill("root")
        page.get_by_label("Password").fill("root")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("listitem").get_by_role("link", name="perm_media Media", exact=True).click()
        thumbnail = page.get_by_role("row").get_by_alt_text("photo from Ana")
        expect(thumbnail).to_have_js_property("naturalWidth", 320, timeout=60_000)
        thumbnail.click()
        picture = page.locator(".media-stage img")
        expect(picture).to_have_js_property("naturalWidth", 640, timeout=60_000)
        browser.close()
    assert errors == []
