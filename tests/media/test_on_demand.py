"""Files that are looked at before they are kept, or after the storage has lost them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from pytest_django import Settings

from media_app import on_demand
from media_app.models import AccountPause, FetchAttempt, Media
from media_app.timing import VIEWER_RETRY_SECONDS
from simulator.provider import SimulatedProvider
from tests.media.browser import Browser, url
from tests.media.bucket import Bucket
from tests.media.files import PHOTO, Announced, Sent
from tests.media.racing import race
from tests.sources.behaviours import BEHAVIOURS
from tests.sources.calls import Call
from tests.sources.hostile import HostileProvider
from tests.waiting import until

# Files are fetched by a thread of their own, which sees only what is committed.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

State = Media.State
LARGE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 200_000
GO_ON = threading.Event()


def _held(call: Call, end: bytes) -> None:
    """All but the end, and the end when the test says so."""
    call.head(200, call.length, then=call.body[:-1000])
    assert GO_ON.wait(180)
    call.send(end)


BEHAVIOURS["held"] = lambda call: _held(call, call.body[-1000:])
BEHAVIOURS["held-wrong"] = lambda call: _held(call, bytes(1000))


@pytest.fixture(autouse=True)
def nobody_waits_any_more() -> Iterator[None]:
    GO_ON.clear()
    yield
    GO_ON.set()
    until(lambda: not on_demand._fetches)


@pytest.fixture
def viewer(client: Browser) -> Browser:
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def leased(photo: Media) -> Media:
    """A photo that another worker is fetching, and has put already."""
    lease_until = Now() + timedelta(seconds=30)
    Media.objects.update(state=State.FETCHING, lease_until=lease_until)
    return photo


@pytest.fixture
def large(hostile: HostileProvider, announced: Announced) -> Callable[..., Media]:
    """A file of more than 32 MB at a provider that behaves so."""

    def make(behaves: str, **words: Any) -> Media:
        hostile.body = LARGE
        words = {"sha256": sha256(LARGE).hexdigest(), **words}
        return announced(source="url", account="web", url=hostile.url(behaves), **words)

    return make


def test_a_file_that_waits_is_fetched_for_its_viewer_and_kept(
    viewer: Browser, sent: Sent, provider: SimulatedProvider, bucket: Bucket
) -> None:
    media = sent()
    response = viewer.get(url(media))
    assert (response.status_code, response.body) == (200, PHOTO.body)
    assert response["ETag"] == f'"{PHOTO.sha256}"'
    assert response["Content-Type"] == "image/jpeg"
    assert Media.objects.get().is_stored
    assert (bucket.read(media.key), bucket.puts) == (PHOTO.body, [media.key])
    assert viewer.get(url(media)).body == PHOTO.body
    assert provider.downloads.total() == 1


def test_many_viewers_at_once_are_one_download(
    sent: Sent, provider: SimulatedProvider
) -> None:
    media = sent()
    root = User.objects.create_superuser("root")

    def look() -> bytes:
        browser = Browser()
        browser.force_login(root)
        body: bytes = browser.get(url(media)).body
        return body

    assert set(race([look] * 12)) == {PHOTO.body}
    assert provider.downloads.total() == 1
    assert FetchAttempt.objects.count() == 1


def test_a_file_that_the_bucket_lost_heals_itself(
    viewer: Browser, sent: Sent, provider: SimulatedProvider, media_root: Path
) -> None:
    media = sent()
    viewer.get(url(media))
    (media_root / media.key).unlink()
    response = viewer.get(url(media))
    assert (response.status_code, response.body) == (200, PHOTO.body)
    assert (media_root / media.key).read_bytes() == PHOTO.body
    # Marked missing, and there.
    Media.objects.mark_missing(media.id)
    assert viewer.get(url(media)).body == PHOTO.body
    assert provider.downloads.total() == 2


def test_a_failure_is_remembered(
    viewer: Browser, sent: Sent, provider: SimulatedProvider
) -> None:
    media, provider.down = sent(), True
    answers = [viewer.get(url(media))]
    # However long the next requests take.
    Media.objects.update(next_attempt_at=Now() + timedelta(hours=1))
    answers += [viewer.get(url(media)) for _ in range(19)]
    assert {response.status_code for response in answers} == {503}
    assert all(int(response["Retry-After"]) >= 1 for response in answers)
    assert FetchAttempt.objects.count() == 1
    assert "503" in answers[0].body.decode()


def test_once_it_may_be_tried_again_it_is(
    viewer: Browser, sent: Sent, provider: SimulatedProvider
) -> None:
    media, provider.down = sent(), True
    viewer.get(url(media))
    provider.down = False
    Media.objects.update(next_attempt_at=Now())
    assert viewer.get(url(media)).body == PHOTO.body


def test_a_paused_account_is_left_alone(
    viewer: Browser, sent: Sent, provider: SimulatedProvider
) -> None:
    media = sent()
    AccountPause.objects.pause(
        source=media.source,
        account=media.account,
        cause=AccountPause.Cause.UNAUTHORIZED,
        reason="401",
        length=timedelta(minutes=5),
    )
    assert viewer.get(url(media)).status_code == 503
    assert provider.downloads.total() == 0


def test_a_storage_that_is_down_is_no_reason_to_ask_the_provider(
    viewer: Browser, sent: Sent, provider: SimulatedProvider, media_root: Path
) -> None:
    media_root.write_text("no folder at all")
    media = sent()
    assert viewer.get(url(media)).status_code == 503
    assert provider.downloads.total() == 0


@pytest.mark.parametrize("state", [State.EXPIRED, State.REJECTED, State.DELETED])
def test_what_was_given_up_is_404_with_the_reason_for_staff(
    viewer: Browser, sent: Sent, provider: SimulatedProvider, state: State
) -> None:
    media = sent()
    Media.objects.update(state=state, last_error="It was too large.")
    response = viewer.get(url(media))
    assert (response.status_code, response["Cache-Control"]) == (404, "no-store")
    assert "It was too large." in response.body.decode()
    assert provider.downloads.total() == 0


# --- behind somebody else ---------------------------------------------------------------


def test_a_viewer_waits_for_the_worker_that_has_the_lease(
    viewer: Browser, leased: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def a_moment_later(seconds: float) -> None:
        looks.append(seconds)
        Media.objects.update(state=State.STORED, lease_until=None)

    monkeypatch.setattr(time, "sleep", a_moment_later)
    assert viewer.get(url(leased)).body == PHOTO.body
    assert looks == [on_demand.POLL_SECONDS]


def test_but_not_for_ever(
    viewer: Browser, leased: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_demand, "VIEWER_WAIT_SECONDS", 0.3)
    response = viewer.get(url(leased))
    assert response.status_code == 503
    assert response["Retry-After"] == str(VIEWER_RETRY_SECONDS)


def test_a_file_that_came_back_meanwhile_is_not_marked_missing(photo: Media) -> None:
    Media.objects.update(stored_at=Now() + timedelta(seconds=1))
    assert not Media.objects.mark_missing(photo.id, stored_at=photo.stored_at)


# --- large files ----------------------------------------------------------------------------


def test_a_large_file_is_shown_while_it_arrives(
    viewer: Browser, large: Callable[..., Media], media_root: Path
) -> None:
    media = large("held")
    response = viewer.begin(url(media))
    assert (response.status_code, response["Content-Length"]) == (200, str(len(LARGE)))
    assert "ETag" not in response and response["Cache-Control"] == "no-store"
    chunks = iter(response.streaming_content)
    begun = next(chunks)
    assert not GO_ON.is_set() and LARGE.startswith(begun)
    GO_ON.set()
    assert begun + b"".join(chunks) == LARGE
    until(lambda: Media.objects.get().state == State.STORED)


def test_a_large_file_that_turns_out_wrong_never_comes_to_its_end(
    viewer: Browser, large: Callable[..., Media]
) -> None:
    media = large("held-wrong")
    response = viewer.begin(url(media))
    received, chunks = 0, iter(response.streaming_content)
    received += len(next(chunks))
    GO_ON.set()
    with pytest.raises(Exception, match="not to be right"):
        for chunk in chunks:
            received += len(chunk)
    assert received < len(LARGE)
    response.close()


def test_a_range_of_a_large_file_waits_for_all_of_it(
    viewer: Browser, large: Callable[..., Media]
) -> None:
    GO_ON.set()
    response = viewer.get(url(large("held")), headers={"Range": "bytes=-10"})
    assert (response.status_code, response.body) == (206, LARGE[-10:])


def test_a_viewer_that_leaves_does_not_stop_the_fetch(
    viewer: Browser, large: Callable[..., Media]
) -> None:
    response = viewer.begin(url(large("held")))
    next(iter(response.streaming_content))
    response.close()
    GO_ON.set()
    until(lambda: Media.objects.get().state == State.STORED)


def test_nothing_is_left_behind(
    viewer: Browser, sent: Sent, settings: Settings
) -> None:
    viewers, kept_connections = 20, 10

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    viewer.get(url(sent()), headers={"Range": "bytes=0-0"})
    open_before = open_files()
    for _ in range(viewers):
        viewer.get(url(sent()), headers={"Range": "bytes=0-0"})
    until(lambda: not on_demand._fetches)
    assert open_files() < open_before + kept_connections
