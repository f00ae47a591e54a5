"""What a session holds: as data, as text, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db.models.functions import Now
from django.test import Client
from pytest_django.fixtures import Settings

from media_app.models import Media
from media_app.storage import media_storage
from messages_app.models import OutboxItem, PhotoSession
from messages_app.replies import count_text, render
from messages_app.summaries import (
    PhotoCounts,
    as_text,
    essence,
    summarize,
    with_links,
)
from simulator.content import Kind, content
from tests.media.bucket import name_buckets
from tests.messages.mail import ADA, SENT, album, meta, photo, receive, text

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("photos_begin"),
]

Kinds = OutboxItem.Kind
Json = dict[str, Any]
PHOTO_FIELDS = {
    "id",
    "url",
    "state",
    "content_type",
    "size",
    "sha256",
    "occurred_at",
    "caption",
}


def words(second: int, body: str) -> Json:
    return text(f"wamid.{body}", body, at=SENT + second)


def session(photos: int, *, details: str = "") -> PhotoSession:
    """Photos 1, 2, … a second apart, the last one first on the way here."""
    sent = [
        photo(number, sent_at=SENT + number, text=f"No. {number}")
        for number in range(photos, 0, -1)
    ]
    said = words(photos + 1, "done"), words(photos + 2, details or "no")
    receive(album(*sent), meta(*said))
    return PhotoSession.objects.get()


def store(media: Media, body: bytes, *, sha256: str = "") -> Media:
    """The file of this row, in the bucket."""
    media_storage().put(
        media.key, BytesIO(body), size=len(body), content_type="image/jpeg", metadata={}
    )
    Media.objects.filter(id=media.id).update(
        state=Media.State.STORED,
        size=len(body),
        content_type="image/jpeg",
        sha256=sha256 or media.announced_sha256,
    )
    media.refresh_from_db()
    return media


def files() -> list[Media]:
    return list(Media.objects.order_by("occurred_at"))


def opened(url: str) -> tuple[int, bytes]:
    """What somebody without a login gets: the status and the body, read to its end."""
    answer: Any = Client().get(url)
    body = b"".join(answer)
    return answer.status_code, body


# --- as text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urls", "details", "text"),
    [
        ([], "", "Photos Provided: none"),
        (["u1"], "", "Photos Provided: u1"),
        (["u1", "u2"], "", "Photos Provided: u1 | u2"),
        (["u1", "u2"], "A scratch.", "Photos Provided: u1 | u2\nDetails: A scratch."),
    ],
)
def test_the_text_lists_the_photos_and_then_the_details(
    urls: Sequence[str], details: str, text: str
) -> None:
    assert as_text(urls, details) == text


def test_photos_are_in_the_order_of_the_providers_time() -> None:
    data = with_links(summarize(session(4)).as_data(1))
    assert [each["caption"] for each in data["photos"]] == [
        "No. 1",
        "No. 2",
        "No. 3",
        "No. 4",
    ]
    assert [each["id"] for each in data["photos"]] == [
        str(media.id) for media in files()
    ]
    urls = [each["url"] for each in data["photos"]]
    assert data["text"] == f"Photos Provided: {' | '.join(urls)}"


# --- its links ----------------------------------------------------------------------------


def test_each_link_opens_its_own_photo_without_a_login() -> None:
    row = session(2)
    bodies = [content(Kind.PHOTO, number).body for number in (1, 2)]
    for media, body in zip(files(), bodies, strict=True):
        store(media, body)
    urls = [each["url"] for each in with_links(summarize(row).as_data(1))["photos"]]
    assert [opened(url) for url in urls] == [(200, body) for body in bodies]
    assert opened(urls[0].partition("?")[0])[0] != 200


def test_links_last_as_long_as_it_is_set(settings: Settings) -> None:
    row = session(1)
    store(files()[0], content(Kind.PHOTO, 1).body)
    settings.SUMMARY_LINK_TTL_SECONDS = -1
    assert opened(with_links(summarize(row).as_data(1))["photos"][0]["url"])[0] == 404
    settings.SUMMARY_LINK_TTL_SECONDS = 60
    assert opened(with_links(summarize(row).as_data(1))["photos"][0]["url"])[0] == 200


def test_no_link_is_stored_and_each_attempt_has_the_same_links(
    settings: Settings,
) -> None:
    row = session(2)
    kept = json.loads(json.dumps(summarize(row).as_data(1)))
    assert "token" not in str(kept) and "http" not in str(kept)
    sent = with_links(kept)
    settings.SUMMARY_LINK_TTL_SECONDS *= 2
    Media.objects.filter(id=files()[0].id).revoke_links()
    assert with_links(kept) == sent
    assert [set(photo) for photo in sent["photos"]] == [PHOTO_FIELDS, PHOTO_FIELDS]


def test_summaries_of_earlier_releases_are_sent_unchanged() -> None:
    former = with_links(summarize(session(2)).as_data(1))
    assert with_links(former) == former


def test_public_files_have_links_of_the_public_domain(settings: Settings) -> None:
    row = session(2)
    shown, other = (store(media, b"any") for media in files())
    name_buckets(settings)
    Media.objects.filter(id=shown.id).update(
        is_public=True,
        stored_at=Now(),
        public_bucket="public",
        public_key="0000.jpeg",
        published_at=Now(),
    )
    urls = [each["url"] for each in with_links(summarize(row).as_data(1))["photos"]]
    assert urls[0] == "https://cdn.example/0000.jpeg"
    assert urls[1].startswith(f"http://testserver/media/{other.id}/?token=")


def test_addresses_made_of_keys_are_forgotten() -> None:
    row = session(1)
    data = summarize(row).as_data(1)
    data["photos"][0]["public_url"] = (
        "https://cdn.example/whatsapp%3A%2B14335551212/1.jpeg"
    )
    item = OutboxItem.objects.create(
        id=uuid4(),
        session=row,
        kind=Kinds.HAND_OVER,
        caused_at=row.started_at,
        said=data,
    )
    import_module("messages_app.migrations.0016_summaries_without_keys").forget(
        apps, None
    )
    item.refresh_from_db()
    assert with_links(item.said)["photos"][0]["url"].startswith(
        "http://testserver/media/"
    )


# --- as data ------------------------------------------------------------------------------


def test_the_data_say_who_what_and_when() -> None:
    row = session(2, details="A scratch.")
    data = with_links(summarize(row).as_data(3))
    assert (data["id"], data["revision"], data["state"]) == (
        str(row.id),
        3,
        "submitted",
    )
    assert data["contact"] == {
        "id": str(row.contact_id),
        "name": "Ada",
        "owners": [ADA],
    }
    assert data["details"] == "A scratch."
    assert data["text"].endswith("\nDetails: A scratch.")
    assert data["submitted_at"] == (row.started_at + timedelta(seconds=3)).isoformat()


def test_photos_are_counted_by_their_state() -> None:
    row = session(6)
    stored, lost, large, gone, deleted, _ = files()
    store(stored, b"one")
    Media.objects.filter(id=lost.id).update(state=Media.State.MISSING)
    Media.objects.filter(id=large.id).update(
        state=Media.State.REJECTED, failure=Media.Failure.TOO_LARGE
    )
    Media.objects.filter(id=gone.id).update(state=Media.State.EXPIRED)
    Media.objects.filter(id=deleted.id).mark_deleted("by staff")
    counts = {
        "photos": 3,
        "on_their_way": 2,
        "too_large": 1,
        "refused": 2,
        "duplicates": 0,
    }
    data = summarize(row).as_data(1)
    assert data["counts"] == counts
    assert len(data["photos"]) == 3


def test_the_first_of_those_with_one_content_is_shown() -> None:
    row = session(3)
    first, second, third = files()
    for media in (first, third):
        store(media, b"the same", sha256="a" * 64)
    summary = summarize(row)
    assert [each.media for each in summary.photos] == [first, second]
    assert (summary.counts.photos, summary.counts.duplicates) == (2, 1)


def test_a_refused_photo_hides_no_other_of_its_content() -> None:
    row = session(2)
    Media.objects.update(announced_sha256="a" * 64)
    Media.objects.filter(id=files()[0].id).update(state=Media.State.EXPIRED)
    assert [each.media for each in summarize(row).photos] == [files()[1]]


def test_what_is_stored_meanwhile_makes_no_other_summary() -> None:
    row = session(2)
    before = summarize(row).as_data(1)
    for media in files():
        store(media, b"any %d" % media.occurred_at.second)
    assert essence(summarize(row).as_data(2)) == essence(before)
    Media.objects.filter(id=files()[0].id).update(state=Media.State.EXPIRED)
    assert essence(summarize(row).as_data(2)) != essence(before)


# --- in words -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (PhotoCounts(), "0 photos"),
        (PhotoCounts(photos=1), "1 photo"),
        (
            PhotoCounts(photos=14, on_their_way=1, too_large=1),
            "14 photos, 1 still on its way, 1 too large",
        ),
        (
            PhotoCounts(photos=3, on_their_way=2, refused=1),
            "3 photos, 2 still on their way, 1 not accepted",
        ),
        (PhotoCounts(photos=2, duplicates=4), "2 photos"),
    ],
)
def test_counts_in_words(counts: PhotoCounts, text: str) -> None:
    assert count_text(counts) == text


@pytest.mark.parametrize(
    ("kind", "is_submitted", "text", "buttons"),
    [
        (
            Kinds.QUESTION,
            False,
            "Great! Got 3 photos. Any flaws or special notes?",
            ["skip", "add"],
        ),
        (Kinds.QUESTION, True, "Great! Got 3 photos.", []),
        (
            Kinds.CORRECTION,
            False,
            "Correction: Got 3 photos. Any flaws or special notes?",
            ["skip", "add"],
        ),
        (Kinds.CORRECTION, True, "Correction: got 3 photos in all.", []),
        (Kinds.ACK, False, "Got it! Keep sending. Text DONE when finished.", []),
    ],
)
def test_replies_say_how_things_stand_now(
    kind: str, is_submitted: bool, text: str, buttons: list[str]
) -> None:
    reply = render(kind, PhotoCounts(photos=3), is_submitted=is_submitted)
    assert (reply.text, [button.id for button in reply.buttons]) == (text, buttons)


@pytest.mark.parametrize("kind", [Kinds.QUESTION, Kinds.CORRECTION])
def test_where_all_photos_were_refused_they_are_asked_for_again(kind: str) -> None:
    reply = render(kind, PhotoCounts(too_large=1))
    assert (
        reply.text
        == "Got 0 photos, 1 too large. Please send your photos, then text DONE."
    )
    assert reply.buttons == ()


def test_every_kind_of_reply_has_its_words() -> None:
    kinds = [kind for kind in Kinds if kind != Kinds.HAND_OVER]
    assert all(render(kind, PhotoCounts(photos=1)).text for kind in kinds)
