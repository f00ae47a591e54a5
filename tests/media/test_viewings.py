"""Who of the staff saw what."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import F

from media_app import signing
from media_app.models import Media, Viewing
from media_app.previews import make_previews
from media_app.timing import VIEWING_LENGTH
from tests.media.browser import Browser, url
from tests.media.files import Stored
from tests.media.racing import race

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def seen() -> list[tuple[str, str]]:
    return list(Viewing.objects.order_by("id").values_list("username", "kind"))


def test_a_look_is_recorded(viewer: Browser, photo: Media, staff: User) -> None:
    viewer.get(url(photo))
    viewing = Viewing.objects.get()
    assert (viewing.media, viewing.user) == (photo, staff)
    assert seen() == [("vera", "view")]


@pytest.mark.parametrize("query", ["?download=1", "?download="])
def test_a_download_is_recorded_as_one(
    viewer: Browser, photo: Media, query: str
) -> None:
    viewer.get(url(photo, query))
    assert seen() == [("vera", "download")]


def test_a_document_that_can_only_be_downloaded_is_a_download(
    viewer: Browser, stored: Stored
) -> None:
    viewer.get(url(stored(b"%PDF-1.4", "application/pdf")))
    assert seen() == [("vera", "download")]


def test_many_ranges_are_one_viewing(viewer: Browser, photo: Media) -> None:
    for start in (1, 500, 100, 0):
        viewer.get(url(photo), headers={"Range": f"bytes={start}-{start + 9}"})
    assert seen() == [("vera", "view")]


def test_the_next_look_after_half_an_hour_is_another(
    viewer: Browser, photo: Media
) -> None:
    viewer.get(url(photo))
    Viewing.objects.update(
        at=F("at") - VIEWING_LENGTH - timedelta(seconds=1), slot=F("slot") - 1
    )
    viewer.get(url(photo))
    assert len(seen()) == 2


def test_a_look_that_goes_on_past_the_half_hour_of_the_clock_is_the_same(
    viewer: Browser, photo: Media
) -> None:
    viewer.get(url(photo))
    Viewing.objects.update(slot=F("slot") - 1)
    viewer.get(url(photo), headers={"Range": "bytes=10-"})
    assert len(seen()) == 1


def test_a_copy_that_the_browser_has_already_is_seen_again(
    viewer: Browser, photo: Media
) -> None:
    assert viewer.get(url(photo), headers={"If-None-Match": "*"}).status_code == 304
    assert seen() == [("vera", "view")]


@pytest.mark.parametrize(
    "asked", ["bytes=99999999-", "head", "missing", "nobody", "link"]
)
def test_what_shows_nothing_to_staff_is_no_viewing(
    viewer: Browser, client: Browser, photo: Media, asked: str
) -> None:
    match asked:
        case "head":
            viewer.head(url(photo))
        case "missing":
            Media.objects.update(state=Media.State.EXPIRED)
            viewer.get(url(photo))
        case "nobody":
            client.logout()
            client.get(url(photo))
        case "link":
            client.logout()
            client.get(signing.link(photo).partition("8000")[2])
        case _:
            viewer.get(url(photo), headers={"Range": asked})
    assert seen() == []


def test_the_large_preview_shows_the_picture_and_the_thumbnail_does_not(
    viewer: Browser, photo: Media
) -> None:
    small, large = (
        url(photo, f"?size={size}", name="media-preview") for size in (320, 1280)
    )
    viewer.get(large)
    assert seen() == []
    make_previews(photo)
    viewer.get(small)
    assert seen() == []
    viewer.get(large)
    assert seen() == [("vera", "view")]


@pytest.mark.django_db(transaction=True)
def test_parts_that_are_asked_for_at_once_are_one_viewing(
    photo: Media, staff: User
) -> None:
    def look() -> None:
        Viewing.objects.record(photo.id, staff, Viewing.Kind.DOWNLOAD)

    race([look] * 8)
    assert seen() == [("vera", "download")]


def test_a_viewing_outlives_the_account(
    viewer: Browser, photo: Media, staff: User
) -> None:
    viewer.get(url(photo))
    staff.delete()
    assert seen() == [("vera", "view")]
