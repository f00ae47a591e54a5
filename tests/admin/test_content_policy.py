"""What the pages of the admin may load and run: seen in a browser."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from PIL import Image
from playwright.sync_api import Page, Route, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer
from redis import Redis

from media_app import queues
from media_app.models import CommandRun
from mediahub.storages import s3_storage
from messages_app.models import ErasureRequest, MessageStatus, SessionRebuild
from simulator.processes import free_port
from tests.admin.rows import (
    attempt,
    make_contact,
    make_delivery,
    make_media,
    make_message,
    make_reply,
    make_session,
    notice,
    pause,
    photo,
    quarantine,
)
from tests.servers import S3_KEY_ID, S3_SECRET, moto_server

POLICY = "Content-Security-Policy"
#: RQ's lists of jobs have a script in the page. It calls what Django's actions.js has no more, so
#: nothing is lost.
QUEUE = "/admin/django_rq/dashboard/queues/0/"
OTHER_PAGES = (
    "/admin/",
    "/admin/password_change/",
    "/admin/auth/user/add/",
    "/admin/auth/group/add/",
    "/admin/auth/user/1/password/",
    "/admin/auth/user/1/history/",
    "/admin/auth/user/1/delete/",
    QUEUE,
)

# Kept over all pages that are visited.
_LISTEN = """document.addEventListener("securitypolicyviolation", violation => {
    const kept = JSON.parse(localStorage.getItem("violations") || "[]");
    kept.push([location.pathname, violation.effectiveDirective, violation.blockedURI]);
    localStorage.setItem("violations", JSON.stringify(kept));
});"""


@pytest.fixture
def signed_in(page: Page, live_server: LiveServer) -> Page:
    """The browser of a superuser, which remembers what policies refused: see ``violations``."""
    client = Client()
    client.force_login(User.objects.create_superuser("root", id=1))
    cookie = client.cookies["sessionid"].value
    page.context.add_cookies(
        [{"name": "sessionid", "value": cookie, "url": live_server.url}]
    )
    page.add_init_script(_LISTEN)
    return page


def violations(page: Page) -> list[list[str]]:
    """Each as path, directive, and what was refused."""
    found: list[list[str]] = json.loads(
        page.evaluate("localStorage.getItem('violations')") or "[]"
    )
    return found


def make_a_row_of_each_model() -> None:
    contact = make_contact()
    picture = make_media(photo())
    message = make_message(contact, picture, text="the kitchen")
    step = {
        "message_id": message.id,
        "status": "read",
        "rank": 3,
        "occurred_at": message.occurred_at,
    }
    MessageStatus.objects.create(id=uuid4(), **step)
    make_reply(make_session(contact, picture))
    attempt(picture)
    pause()
    quarantine(make_delivery())
    notice("account_update")
    SessionRebuild.objects.create(
        contact=contact, provider="meta", since=message.occurred_at, error="no"
    )
    CommandRun.objects.begin("media_stats", started_by="vera", arguments="")
    now = message.occurred_at
    ErasureRequest.objects.create(until=now, due_at=now, owners=["whatsapp:+4915112"])
    Group.objects.create(name="Viewers")


def pages_of_models() -> Iterator[str]:
    """Each list, and the page of a row."""
    for model in admin.site._registry:
        name = f"admin:{model._meta.label_lower.replace('.', '_')}"
        yield reverse(f"{name}_changelist")
        # RQ's dashboard is a model without rows.
        if model._meta.managed:
            row = model._default_manager.first()
            assert row is not None, model
            yield reverse(f"{name}_change", args=[row.pk])


def test_no_page_needs_more_than_its_policy_allows(
    signed_in: Page, redis: Redis
) -> None:
    make_a_row_of_each_model()
    queues.enqueue("inbox", "messages_app.jobs.drain", times=1)
    film = reverse(
        "admin:media_app_media_change",
        args=[make_media(b"no film", content_type="video/mp4").id],
    )
    for address in (*OTHER_PAGES, film, *pages_of_models()):
        # By then Alpine has compiled what stands in the page; fonts are not waited for.
        response = signed_in.goto(address, wait_until="domcontentloaded")
        assert response is not None and response.status == 200, address
    assert violations(signed_in) == [[QUEUE, "script-src-elem", "inline"]]
    signed_in.context.clear_cookies()
    signed_in.goto("/admin/login/")
    assert len(violations(signed_in)) == 1


@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_script_in_a_customers_words_does_not_run(
    signed_in: Page, is_guarded: bool
) -> None:
    """Pages escape what customers write. The policy is for the one that forgets to."""
    message = make_message(make_contact(), text="KITCHEN")
    run = "window.ran = (window.ran || 0) + 1"
    injected = f'<script>{run}</script><img src="/static/none" onerror="{run}">'

    def serve(route: Route) -> None:
        response = route.fetch()
        headers = {
            name: value
            for name, value in response.headers.items()
            if is_guarded or name != POLICY.lower()
        }
        assert "KITCHEN" in response.text()
        route.fulfill(
            response=response,
            headers=headers,
            body=response.text().replace("KITCHEN", injected),
        )

    path = reverse("admin:messages_app_message_change", args=[message.id])
    signed_in.route(f"**{path}", serve)
    signed_in.goto(path)
    assert bool(signed_in.evaluate("window.ran")) is not is_guarded
    refused = {directive for _, directive, _ in violations(signed_in)}
    assert refused == ({"script-src-elem", "script-src-attr"} if is_guarded else set())


@pytest.fixture
def bucket(settings: Settings) -> str:
    """The storage is a bucket that sends its objects itself: its origin. Nobody listens there
    yet.
    """
    endpoint = f"http://127.0.0.1:{free_port()}"
    stored = s3_storage(
        bucket="media",
        key_id=S3_KEY_ID,
        secret=S3_SECRET,
        region="us-east-1",
        endpoint=endpoint,
    )
    settings.STORAGES = {**settings.STORAGES, "media": stored}
    settings.MEDIA_DELIVERY = "redirect"
    return endpoint


@pytest.fixture
def running_bucket(bucket: str, tmp_path: Path) -> Iterator[str]:
    server = moto_server(tmp_path, int(bucket.rpartition(":")[2]))
    server.start()
    session = boto3.Session(S3_KEY_ID, S3_SECRET, region_name="us-east-1")
    session.client("s3", endpoint_url=bucket).create_bucket(Bucket="media")
    yield bucket
    server.stop()


def test_a_page_shows_a_picture_that_the_bucket_sends(
    signed_in: Page, running_bucket: str
) -> None:
    drawn = io.BytesIO()
    Image.new("P", (64, 48)).save(drawn, "GIF")
    media = make_media(drawn.getvalue(), content_type="image/gif")
    sent_by: list[str] = []
    signed_in.on("response", lambda response: sent_by.append(response.url))
    signed_in.goto(reverse("admin:media_app_media_change", args=[media.id]))
    expect(signed_in.locator(".media-stage img")).to_have_js_property(
        "naturalWidth", 64, timeout=60_000
    )
    assert any(address.startswith(f"{running_bucket}/") for address in sent_by)


def test_the_public_domain_may_send_films(
    client: Client, settings: Settings, bucket: str
) -> None:
    settings.R2_PUBLIC_URL = "https://cdn.example/files"
    policy = client.get("/nowhere")[POLICY]
    assert f"media-src 'self' {bucket} https://cdn.example;" in f"{policy};"


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/healthz",
        "/admin/login/",
        "/admin/media_app/media/",
        "/webhooks/meta/",
    ],
)
def test_every_answer_has_a_policy(client: Client, db: None, path: str) -> None:
    assert "default-src 'none'" in client.get(path)[POLICY]
    assert "default-src 'none'" in client.post(path)[POLICY]


def test_a_refusal_of_an_unknown_host_has_a_policy(client: Client) -> None:
    response = client.get("/admin/login/", headers={"host": "elsewhere.example"})
    assert (response.status_code, "default-src 'none'" in response[POLICY]) == (
        400,
        True,
    )
