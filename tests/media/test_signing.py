"""Signed links, and what they open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.core.signing import Signer
from django.urls import reverse
from pytest_django import Settings

from media_app import signing
from media_app.models import Media
from media_app.signing import Disposition, Link, LinkError
from tests.media import files
from tests.media.browser import Browser
from tests.media.files import Stored

pytestmark = pytest.mark.django_db

PHOTO = files.PHOTO.body
SOON = timedelta(minutes=5)


def address(
    media: Media, disposition: Disposition = Disposition.INLINE, lasts: timedelta = SOON
) -> str:
    """The link without its host."""
    parts = urlsplit(signing.link(media, disposition, lasts=lasts))
    return f"{parts.path}?{parts.query}"


def test_whoever_has_a_link_gets_the_file(client: Browser, photo: Media) -> None:
    response = client.get(address(photo))
    assert (response.status_code, response.body) == (200, PHOTO)
    assert response["Content-Disposition"].startswith("inline")
    assert client.get(address(photo), headers={"Range": "bytes=0-1"}).body == PHOTO[:2]


def test_a_link_leads_to_where_the_outside_reaches_the_hub(
    photo: Media, settings: Settings
) -> None:
    settings.PUBLIC_URL = "https://hub.example"
    assert signing.link(photo).startswith(
        f"https://hub.example/media/{photo.id}/?token=inline."
    )


def test_a_link_lasts_as_long_as_is_set(photo: Media, settings: Settings) -> None:
    settings.LINK_TTL_SECONDS = 60
    token = signing.link(photo).partition("token=")[2]
    granted = signing.read(token, photo, datetime.now(UTC))
    left = granted.expires_at - datetime.now(UTC)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)


@pytest.mark.parametrize("asked", ["", "&download=", "&download=0"])
def test_a_link_to_a_download_shows_nothing(
    client: Browser, photo: Media, asked: str
) -> None:
    response = client.get(address(photo, Disposition.ATTACHMENT) + asked)
    assert response["Content-Disposition"].startswith("attachment")


def test_any_link_can_be_downloaded(client: Browser, photo: Media) -> None:
    response = client.get(address(photo) + "&download=1")
    assert response["Content-Disposition"].startswith("attachment")


def test_every_link_that_opens_nothing_has_one_answer(
    client: Browser, photo: Media, stored: Stored
) -> None:
    good = address(photo)
    expired = address(photo, lasts=timedelta(seconds=-1))
    refused = [
        expired,
        good[:-1],
        good.replace(str(photo.id), str(stored(PHOTO).id)),
        good.replace(str(photo.id), str(uuid4())),
    ]
    answers = [client.get(link) for link in refused]
    assert Media.objects.all().revoke_links() == 2
    answers.append(client.get(good))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1
    assert {answer["Cache-Control"] for answer in answers} == {"no-store"}
    photo.refresh_from_db()
    assert client.get(address(photo)).status_code == 200


def test_nobody_keeps_a_file_longer_than_the_link_lasts(
    client: Browser, photo: Media
) -> None:
    kept = client.get(address(photo, lasts=timedelta(seconds=100)))["Cache-Control"]
    assert 50 < int(kept.removeprefix("private, max-age=")) < 100


def test_a_link_opens_no_preview(client: Browser, photo: Media) -> None:
    assert client.get(address(photo).replace("/?", "/preview/?")).status_code == 404


def test_a_change_of_key_ends_links_unless_the_old_one_stays_among_the_fallbacks(
    client: Browser, photo: Media, settings: Settings
) -> None:
    old, former = address(photo), settings.SECRET_KEY
    settings.SECRET_KEY = "another-key"
    assert client.get(old).status_code == 404
    settings.SECRET_KEY_FALLBACKS = [former]
    assert client.get(old).status_code == 200


def _signed(text: str, media: Media) -> str:
    return Signer(salt=f"media_app.signing:{media.id}:0", sep=".").sign(text)


@pytest.mark.parametrize(
    "tampered",
    [
        lambda token, media: token.replace("inline", "attachment"),
        lambda token, media: token.replace(".", ".9", 1),
        lambda token, media: token[:-1],
        lambda token, media: "",
        lambda token, media: "x",
        lambda token, media: "\0",
        lambda token, media: "é" * 5000,
        lambda token, media: _signed("inline", media),
        lambda token, media: _signed("sandwich.9999999999", media),
        lambda token, media: _signed("inline." + "9" * 5000, media),
        lambda token, media: _signed("inline.-1", media),
    ],
)
def test_a_token_that_is_not_ours_is_none(photo: Media, tampered: object) -> None:
    token = signing.token(photo, Link(Disposition.INLINE, datetime.now(UTC) + SOON))
    with pytest.raises(LinkError):
        signing.read(tampered(token, photo), photo, datetime.now(UTC))  # type: ignore[operator]


def test_staff_need_no_link_that_works(viewer: Browser, photo: Media) -> None:
    assert viewer.get(reverse("media", args=[photo.id]) + "?token=x").status_code == 200
