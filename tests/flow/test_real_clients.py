"""What readers use: a linter of HTTP, downloaders, a player, and a browser, before a running
hub.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route
from playwright.sync_api import Error as PlaywrightError

from simulator.content import Kind, content
from tests.browsers import running_chromium
from tests.flow.hostile_files import CANARY, HOSTILE
from tests.flow.shelf import Answer, Sent, Shelf, settled, shelf
from tests.programs import program
from tests.waiting import until

pytestmark = pytest.mark.xdist_group("real clients")

ALBUM_BYTES = 17 * 1024 * 1024
VIDEO_SECONDS = 10


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sent]:
    return {
        "photo": Sent(content(Kind.PHOTO, 1).body, "image/jpeg"),
        "invoice": Sent(
            content(Kind.DOCUMENT, 1).body, "application/pdf", "invoice.pdf"
        ),
        "album": Sent(
            content(Kind.DOCUMENT, 1, ALBUM_BYTES).body, "application/pdf", "album.pdf"
        ),
        "video": Sent(
            _video(tmp_path_factory.mktemp("video") / "video.mp4"), "video/mp4"
        ),
    }


def _video(path: Path) -> bytes:
    """A video of some megabytes whose index (moov) comes last, as cameras write it."""
    picture = "testsrc2=size=640x360:rate=25,noise=alls=20:allf=t"
    form = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "30",
        "-pix_fmt",
        "yuv420p",
    ]
    made = [
        *["-v", "error", "-f", "lavfi", "-i"],
        picture,
        "-t",
        str(VIDEO_SECONDS),
        *form,
    ]
    subprocess.run([program("ffmpeg"), *made, path], check=True)
    body = path.read_bytes()
    assert len(body) > 2 * 1024 * 1024
    assert body.rfind(b"moov") > len(body) * 0.9
    return body


@pytest.fixture(scope="module", params=["local", "rclone"])
def stocked(
    request: pytest.FixtureRequest,
    files: dict[str, Sent],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shelf]:
    """Good files on a local disk, and the same in a bucket."""
    with shelf(
        tmp_path_factory.mktemp("shelf"), files, storage=request.param
    ) as stocked:
        yield stocked


@pytest.mark.parametrize("name", ["photo", "video"])
def test_a_linter_of_http_has_nothing_bad_to_say(stocked: Shelf, name: str) -> None:
    redbot = Path(sys.executable).with_name("redbot")
    run = subprocess.run(
        [redbot, "-o", "har", stocked[name].link],
        capture_output=True,
        text=True,
        check=True,
    )
    (entry,) = json.loads(run.stdout)["log"]["entries"]
    notes = {note["note_id"]: note["level"] for note in entry["_red_messages"]}
    assert {"INM_304", "IMS_304", "RANGE_CORRECT"} <= notes.keys()
    # The linter's own look at the bytes knows no MP4 ("looks like undefined/undefined").
    known = {"CONTENT_TYPE_MISMATCH": "WARN"} if name == "video" else {}
    assert {
        id: level for id, level in notes.items() if level in {"BAD", "WARN"}
    } == known


def test_a_downloader_with_eight_connections_gets_the_file_whole(
    stocked: Shelf, files: dict[str, Sent], tmp_path: Path
) -> None:
    asked = stocked.asked()
    options = ["-q", "--no-conf", "-x8", "-s8", "-k1M", "--file-allocation=none"]
    place = ("-d", tmp_path, "-o", "album.pdf")
    subprocess.run(
        [program("aria2c"), *options, *place, stocked["album"].link], check=True
    )
    assert (tmp_path / "album.pdf").read_bytes() == files["album"].body
    answers = settled(asked, stocked["album"].path, 8)
    assert [answer.status for answer in answers].count(206) >= 7


def test_a_download_that_was_cut_goes_on_where_it_ended(
    stocked: Shelf, files: dict[str, Sent], tmp_path: Path
) -> None:
    album, body, asked = tmp_path / "album.pdf", files["album"].body, stocked.asked()
    curl = (program("curl"), "-sS", "--fail", "-o", album)
    with subprocess.Popen([*curl, "--limit-rate", "1M", stocked["album"].link]) as cut:
        until(lambda: album.exists() and album.stat().st_size)
        cut.kill()
    have = album.stat().st_size
    assert 0 < have < len(body)
    subprocess.run([*curl, "-C", "-", stocked["album"].link], check=True)
    assert album.read_bytes() == body
    assert Answer(206, f"bytes={have}-") in settled(asked, stocked["album"].path, 2)


def _late(answers: list[Answer], size: int) -> list[Answer]:
    """The parts that were sent from the last tenth of the file."""
    return [
        answer
        for answer in answers
        if answer.status == 206
        and int(answer.range.removeprefix("bytes=").partition("-")[0]) > size * 0.9
    ]


# --- in a browser -----------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@contextmanager
def _signed_in(chromium: Browser, shelf: Shelf) -> Iterator[Page]:
    """A page for a superuser."""
    context = chromium.new_context(base_url=shelf.hub.url)
    context.add_cookies(
        [{"name": "sessionid", "value": shelf.session, "url": shelf.hub.url}]
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    yield page
    page.unroute_all(behavior="ignoreErrors")
    context.close()


def _plays_near_the_end(page: Page) -> None:
    """The one video of the page plays, and plays on after a jump."""
    video = page.locator("video")
    video.evaluate("video => { video.muted = true; return video.play(); }")
    page.wait_for_function("document.querySelector('video').currentTime > 0")
    seek = """async video => {
        const sought = new Promise(done => video.onseeked = done);
        video.currentTime = 9;
        await sought;
        return [video.readyState, video.currentTime, video.error];
    }"""
    ready, time, error = video.evaluate(seek)
    assert (ready >= 2, time >= 9, error) == (True, True, None)


def test_staff_watch_a_video_in_the_admin_and_jump_in_it(
    stocked: Shelf, chromium: Browser, files: dict[str, Sent]
) -> None:
    asked = stocked.asked()
    with _signed_in(chromium, stocked) as page:
        page.goto(f"/admin/media_app/media/{stocked['video'].id}/change/")
        _plays_near_the_end(page)
    assert _late(asked(stocked["video"].path), len(files["video"].body))


def test_a_photo_is_shown_where_it_is_opened_by_itself(
    stocked: Shelf, chromium: Browser
) -> None:
    with _signed_in(chromium, stocked) as page:
        page.goto(stocked["photo"].path)
        until(
            lambda: page.locator("img").evaluate(
                "image => image.complete && image.naturalWidth > 0"
            )
        )


# --- files that would run ---------------------------------------------------


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Hostile files."""
    files = {name: hostile.sent for name, hostile in HOSTILE.items()}
    with shelf(tmp_path_factory.mktemp("mined"), files) as mined:
        yield mined


NOSNIFF = "x-content-type-options"
GUARDS = {
    "content-disposition",
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "cross-origin-resource-policy",
}
_EMBED = """async paths => {
    const tags = {script: "src", img: "src", iframe: "src", object: "data"};
    const known = [];
    for (const path of paths) for (const [tag, property] of Object.entries(tags)) {
        const element = document.createElement(tag);
        // What becomes a download in a frame says nothing of it to the page.
        if (tag == "script" || tag == "img")
            known.push(new Promise(done => element.onload = element.onerror = done));
        element[property] = `${path}?as=${tag}`;
        document.body.append(element);
    }
    await Promise.all(known);
    return Object.keys(tags).length;
}"""


def _that_ran(page: Page, shelf: Shelf) -> set[str]:
    """Open every file by itself, and then embedded in a page of the admin; whose scripts ran."""
    asked, ran = shelf.asked(), set[str]()

    def heard(dialog: Dialog) -> None:
        ran.add(dialog.message)
        dialog.dismiss()

    page.on("dialog", heard)
    for name in HOSTILE:
        # A download takes the browser nowhere, which counts as an error.
        with suppress(PlaywrightError):
            page.goto(shelf[name].path)
        ran.add(page.title())
    # What is tried is the guards of the files: the page's own policy would refuse some of the ways.
    _serve_without(page, {"content-security-policy"}, at="**/admin/")
    page.goto("/admin/")
    ways = page.evaluate(_EMBED, [shelf[name].path for name in HOSTILE])
    for name in HOSTILE:
        settled(asked, shelf[name].path, 1 + ways)
    page.evaluate(f"fetch('{CANARY}last')")
    until(lambda: asked(f"{CANARY}last"))
    ran |= {name for name in HOSTILE if asked(CANARY + name)}
    return ran & HOSTILE.keys()


def test_nothing_that_strangers_send_runs(mined: Shelf, chromium: Browser) -> None:
    with _signed_in(chromium, mined) as page:
        assert _that_ran(page, mined) == set()


@pytest.mark.parametrize("guard", sorted(GUARDS - {NOSNIFF}))
def test_nothing_runs_with_one_guard_less(
    mined: Shelf, chromium: Browser, guard: str
) -> None:
    with _signed_in(chromium, mined) as page:
        _serve_without(page, {guard})
        assert _that_ran(page, mined) == set()


def test_without_this_guard_bytes_are_scripts_to_a_page_that_asks(
    mined: Shelf, chromium: Browser
) -> None:
    with _signed_in(chromium, mined) as page:
        _serve_without(page, {NOSNIFF})
        assert _that_ran(page, mined)


def test_everything_runs_where_nothing_guards_it_and_its_type_is_believed(
    mined: Shelf, chromium: Browser
) -> None:
    with _signed_in(chromium, mined) as page:
        _serve_without(
            page,
            GUARDS,
            types={mined[name].path: file.hoped_for for name, file in HOSTILE.items()},
        )
        assert _that_ran(page, mined) == HOSTILE.keys()


def _serve_without(
    page: Page,
    names: set[str],
    *,
    types: dict[str, str] | None = None,
    at: str = "**/media/**",
) -> None:
    """The browser gets what is at these addresses without these headers, and as these types by
    their paths.
    """

    def serve(route: Route) -> None:
        response = route.fetch()
        headers = {
            name: value for name, value in response.headers.items() if name not in names
        }
        if (type := (types or {}).get(urlsplit(route.request.url).path)) is not None:
            headers["content-type"] = type
        route.fulfill(response=response, headers=headers)

    page.route(at, serve)
