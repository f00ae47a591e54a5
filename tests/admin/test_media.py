from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis

from media_app import queues
from media_app.admin.machine_owned import change_url
from media_app.models import Media
from media_app.previews import waiting
from tests.admin.conftest import Staff
from tests.admin.pages import act, listed, page_of, press, verb_url
from tests.admin.rows import make_contact, make_media, make_message, pause, photo

LIST = "/admin/media_app/media/"


def found(client: Client, **query: Any) -> set[Media]:
    return set(listed(client, LIST, **query))


def test_the_list_shows_thumbnails_that_load_late_and_say_what_they_are(
    viewer: Client,
) -> None:
    make_contact("Ana Lucía")
    media = make_media(photo(), occurred_at=datetime(2026, 11, 20, 14, 5, tzinfo=UTC))
    html = page_of(viewer, LIST)
    assert (
        f'src="{reverse("media-preview", args=[media.id])}?size=320" loading="lazy"'
        in html
    )
    assert 'alt="photo from Ana Lucía, 20 Nov 2026, 14:05"' in html


def test_what_is_not_stored_is_listed_with_its_reason_its_attempts_and_its_clock(
    viewer: Client,
) -> None:
    sent = timezone.now() - timedelta(hours=20, minutes=1)
    make_media(
        state="retrying",
        last_error="The provider answered 503.",
        attempts=3,
        occurred_at=sent,
    )
    html = page_of(viewer, LIST)
    assert '<span class="badge badge-warn">trying again</span>' in html
    assert "The provider answered 503." in html
    assert "3 attempts" in html
    assert "6 d 3 h left" in html


def test_the_details_of_an_imported_file_are_shown(viewer: Client) -> None:
    html = page_of(viewer, change_url(make_media(details={"prompt": "<b>kitchen"})))
    assert '<p><span class="strong">prompt</span>&lt;b&gt;kitchen</p>' in html
    assert "As imported" not in page_of(viewer, change_url(make_media()))


def test_an_expired_file_has_no_clock(viewer: Client) -> None:
    make_media(state="expired", last_error="Meta no longer has it.", attempts=1)
    html = page_of(viewer, LIST)
    assert "Meta no longer has it." in html
    assert " left<" not in html


def test_a_clock_that_ran_out_says_so(viewer: Client) -> None:
    make_media(
        state="retrying",
        occurred_at=timezone.now() - timedelta(days=9, hours=1, minutes=1),
    )
    assert "time ran out 2 d 1 h ago" in page_of(viewer, LIST)


def test_files_without_a_picture_show_the_icon_of_their_kind(viewer: Client) -> None:
    make_media(b"%PDF-1.7", content_type="application/pdf", filename="contract.pdf")
    html = page_of(viewer, LIST)
    assert "contract.pdf" in html
    assert 'aria-hidden="true">description</span>' in html
    assert "/preview/" not in html


def test_a_photo_whose_preview_was_given_up_shows_its_icon_and_why(
    viewer: Client,
) -> None:
    media = make_media(photo(), preview_error="it takes too long to decode")
    assert "/preview/" not in page_of(viewer, LIST)
    html = page_of(viewer, media)
    assert "/preview/" not in html
    assert "There is no picture of this photo: it takes too long to decode." in html


def test_staff_have_a_given_up_preview_made_again(staff: Staff, redis: Redis) -> None:
    media = make_media(photo(), preview_error="it takes too long to decode")
    client = staff("media_app.change_media")
    assert verb_url(media, "remake_previews") in page_of(client, media)
    html = press(client, media, "remake_previews")
    assert "The previews of 1 file are made again." in html
    assert verb_url(media, "remake_previews") not in html
    assert (list(waiting.due()), queues.waiting("previews")) == ([media], 1)


@pytest.mark.parametrize(
    "term",
    ["433555", "+1 433 555-1212", "(433) 555", "Ana L", "IMG-2024", "stored-name"],
)
def test_a_file_is_found_by_number_name_and_filename(viewer: Client, term: str) -> None:
    make_contact("Ana Lucía")
    media = make_media(photo(), filename="IMG-2024 stored-name.jpeg")
    make_media(photo(), owner="whatsapp:+2348031234567", filename="other.jpeg")
    assert found(viewer, q=term) == {media}


def test_a_file_is_found_by_key_digest_and_id(viewer: Client) -> None:
    media, other = make_media(photo("red")), make_media(photo("blue"))
    assert (
        found(viewer, q=media.key)
        == found(viewer, q=media.sha256)
        == found(viewer, q=str(media.id))
        == {media}
    )
    assert found(viewer) == {media, other}


def test_files_are_filtered_by_one_or_several_states(viewer: Client) -> None:
    stored, rejected, expired = (
        make_media(photo()),
        make_media(state="rejected"),
        make_media(state="expired"),
    )
    assert found(viewer, state__exact="stored") == {stored}
    assert found(viewer, state__exact=["rejected", "expired"]) == {rejected, expired}


def test_files_are_filtered_by_what_they_are_not_by_what_was_announced(
    viewer: Client,
) -> None:
    image = make_media(photo(), announced_type="application/pdf")
    audio = make_media(state="pending", announced_type="audio/ogg; codecs=opus")
    document = make_media(b"%PDF", content_type="application/pdf")
    assert found(viewer, type="image") == {image}
    assert found(viewer, type=["audio", "document"]) == {audio, document}


def test_both_days_of_a_range_are_included_in_the_hubs_own_time(
    viewer: Client, settings: Settings
) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    before = make_media(occurred_at=datetime(2026, 11, 19, 14, 59, tzinfo=UTC))
    first = make_media(occurred_at=datetime(2026, 11, 19, 15, 0, tzinfo=UTC))
    last = make_media(occurred_at=datetime(2026, 11, 20, 14, 59, tzinfo=UTC))
    after = make_media(occurred_at=datetime(2026, 11, 20, 15, 0, tzinfo=UTC))
    assert found(
        viewer, occurred_at_from="2026-11-20", occurred_at_to="2026-11-20"
    ) == {first, last}
    assert found(viewer, occurred_at_to="2026-11-19") == {before}
    assert found(viewer, occurred_at_from="2026-11-21") == {after}
    assert found(viewer, occurred_at_from="yesterday", occurred_at_to="2026-02-30") == {
        before,
        first,
        last,
        after,
    }


def test_a_photos_page_shows_it_large_with_all_facts_and_where_it_was_sent(
    viewer: Client,
) -> None:
    contact, media = make_contact("Ana Lucía"), make_media(photo(), attempts=1)
    message = make_message(contact, media, text="the kitchen")
    html = page_of(viewer, media)
    assert f'src="{reverse("media-preview", args=[media.id])}?size=1280"' in html
    assert f'href="{reverse("media", args=[media.id])}?download=1"' in html
    assert media.sha256 in html
    assert media.key in html
    assert reverse("admin:messages_app_message_change", args=[message.id]) in html
    assert "the kitchen" in html
    assert reverse("admin:messages_app_contact_change", args=[contact.id]) in html


@pytest.mark.parametrize(
    ("content_type", "player"),
    [("video/mp4", "<video controls"), ("audio/ogg", "<audio controls")],
)
def test_sound_and_film_are_played_in_place(
    viewer: Client, content_type: str, player: str
) -> None:
    media = make_media(b"...", content_type=content_type)
    html = page_of(viewer, media)
    assert (
        f'{player} preload="metadata" src="{reverse("media", args=[media.id])}"' in html
    )


def test_a_type_that_browsers_might_run_is_only_offered_as_a_download(
    viewer: Client,
) -> None:
    media = make_media(b"<svg onload=alert(1)>", content_type="image/svg+xml")
    html = page_of(viewer, media)
    assert f'<img src="{reverse("media", args=[media.id])}"' not in html
    assert "?download=1" in html


def test_a_page_without_the_message_permission_tells_nothing_of_the_message(
    staff: Staff,
) -> None:
    media = make_media(photo())
    make_message(make_contact(), media, text="between us")
    assert "between us" not in page_of(staff("media_app.view_media"), media)


def test_retry_in_the_list_starts_failed_files_anew_and_tells_how_many(
    staff: Staff, redis: Redis
) -> None:
    client = staff("media_app.view_media", "media_app.change_media")
    rejected, waiting = make_media(state="rejected"), make_media(state="retrying")
    stored, left_alone = make_media(photo()), make_media(state="expired")
    html = act(client, "retry", rejected, waiting, stored)
    assert "2 files will be tried again now." in html
    states = {media.id: media.state for media in Media.objects.all()}
    assert states[rejected.id] == "pending"
    assert states[stored.id] == "stored"
    assert states[left_alone.id] == "expired"


def test_retry_reaches_all_files_that_the_filter_found(staff: Staff) -> None:
    client = staff("media_app.change_media")
    chosen = [make_media(state="expired") for _ in range(3)]
    other = make_media(state="rejected")
    data = {"action": "retry", "_selected_action": chosen[0].id, "select_across": 1}
    client.post(f"{LIST}?state__exact=expired", data)
    assert set(Media.objects.filter(state="pending")) == set(chosen)
    assert Media.objects.get(id=other.id).state == "rejected"


def test_retry_on_a_files_own_page(staff: Staff, redis: Redis) -> None:
    client = staff("media_app.change_media")
    media = make_media(state="rejected", last_error="too large")
    assert f'action="{verb_url(media, "retry")}"' in page_of(client, media)
    response = client.post(verb_url(media, "retry"), follow=True)
    assert response.redirect_chain == [(change_url(media), 302)]
    assert "1 file will be tried again now." in response.content.decode()
    assert Media.objects.get().state == "pending"
    assert redis.llen("rq:queue:ingest") == 1


def test_a_stored_files_page_offers_no_retry(staff: Staff) -> None:
    media = make_media(photo())
    assert "/verb/retry/" not in page_of(staff("media_app.change_media"), media)


def test_retry_takes_a_post_and_the_change_permission(
    viewer: Client, staff: Staff
) -> None:
    media = make_media(state="rejected")
    address = verb_url(media, "retry")
    assert viewer.post(address).status_code == 403
    act(viewer, "retry", media)
    assert "/verb/" not in page_of(viewer, media)
    assert staff("media_app.change_media").get(address).status_code == 405
    assert Media.objects.get().state == "rejected"


def test_a_verb_is_refused_to_other_sites(staff: Staff) -> None:
    media = make_media(state="rejected")
    client = staff("media_app.change_media")
    client.handler.enforce_csrf_checks = True
    assert client.post(verb_url(media, "retry")).status_code == 403
    assert Media.objects.get().state == "rejected"


def test_retry_tells_which_files_wait_for_a_paused_account(
    staff: Staff, redis: Redis
) -> None:
    pause("555")
    chosen = [
        make_media(state="rejected", account=account)
        for account in ("555", "555", "666")
    ]
    html = act(staff("media_app.change_media"), "retry", *chosen)
    assert "1 file will be tried again now." in html
    assert "2 files will be tried again when the account is no longer paused." in html


def test_retry_tells_that_the_queue_is_down(staff: Staff) -> None:
    media = make_media(state="rejected")
    html = press(staff("media_app.change_media"), media, "retry")
    assert (
        "1 file will be tried again: the queue is down, the sweeper goes on when it is back."
        in html
    )
    assert "tried again now" not in html
    assert set(Media.objects.due().filter(queued_until=None)) == {media}


def test_retry_of_a_paused_account_alone_says_nothing_of_the_queue(
    staff: Staff,
) -> None:
    pause("555")
    media = make_media(state="retrying")
    html = press(staff("media_app.change_media"), media, "retry")
    assert "1 file will be tried again when the account is no longer paused." in html
    assert "the sweeper goes on" not in html


def test_a_link_from_a_contact_narrows_the_list_to_the_contacts_files(
    viewer: Client,
) -> None:
    ana, tom = make_contact("Ana"), make_contact("Tom", "whatsapp:+442079460958")
    hers, his = (
        make_media(photo("red")),
        make_media(photo("blue"), owner="whatsapp:+442079460958"),
    )
    make_message(ana, hers, his)
    make_message(tom, his)
    assert found(viewer, contact=ana.id) == {hers, his}
    assert found(viewer, contact=tom.id) == {his}
    assert found(viewer, contact="nonsense") == {hers, his}
