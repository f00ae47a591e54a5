"""Every row of the table, byte for byte, from every place that keeps files and by every way that
they are sent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.flow.login import guess
from tests.flow.reader import Answer, Reader
from tests.flow.seeds import LARGE
from tests.flow.site import Column, Site, running_site
from tests.flow.table import ROWS, START, Row
from tests.storage.buckets import put
from tests.waiting import until

# All on one set of servers.
pytestmark = pytest.mark.xdist_group("http table")

STORED = (
    "local-stream",
    "local-accel",
    "rclone-stream",
    "rclone-accel",
    "moto-stream",
    "moto-accel",
)
# The decisions are the same everywhere: one column has them all, the others have the rows that can
# differ there.
READ = {1, 2, 3, 5, 7, 13, 26, 44}
SENT_BY_NGINX = {*READ, 4, 6, 8, 9, 10, 11, 12, 14, 18, 20}
# What nginx would decide itself if it were left to it, and must pass on as it is.
PASSED_ON = {1, 2, 3, 13, 18, 21, 26, 28, 29, 33, 35, 37, 39, 41, 42, 45, 47}
ASKED = {
    "local-stream": {row.number for row in ROWS},
    "local-accel": SENT_BY_NGINX | PASSED_ON,
    "rclone-stream": READ,
    "rclone-accel": READ,
    "moto-stream": READ,
    "moto-accel": SENT_BY_NGINX,
}
# Fetched for a viewer, a file is answered from what has just come.
FETCHED = [
    *(("local-stream", row) for row in ROWS if row.number in READ | PASSED_ON),
    *(("local-accel", row) for row in ROWS if row.number in {1, 2, 3, 13, 47}),
]
# What a message's address is asked, which leads to the same view.
OF_A_MESSAGE = [row for row in ROWS if row.number in {1, 2, 3, 13}]
SHOWN = {
    "Content-Type": "image/jpeg",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    empty = sum(row.size == 0 for _, row in FETCHED)
    with running_site(
        tmp_path_factory.mktemp("site"),
        waiting=len(FETCHED) - empty,
        waiting_empty=empty,
    ) as site:
        yield site


def follow(
    column: Column,
    path: str,
    row: Row,
    words: dict[str, str],
    *headers: tuple[str, str],
) -> None:
    """Send the row's request, compare the answer, and use the same connection once more."""
    asked = tuple(
        (name, value.format_map(words) if "{" in value else value)
        for name, value in row.headers
    )
    with Reader(column.port) as reader:
        compare(row, reader.ask(row.method, path, (*asked, *headers)), words)
        again = reader.ask("HEAD", path, headers)
        assert (again.status, again.headers["Content-Length"]) == (200, str(row.size))


def compare(row: Row, answer: Answer, words: dict[str, str]) -> None:
    assert answer.status == row.status
    assert answer.headers["Content-Range"] == row.content_range
    assert answer.headers["Content-Encoding"] is None
    match row.status:
        case 200 | 206:
            assert answer.body == row.body
            assert answer.headers["Content-Length"] == str(row.content_length)
            assert answer.headers.get_all("Accept-Ranges") == ["bytes"]
            assert answer.headers["Last-Modified"] == words["date"]
            if row.size:
                (disposition,) = answer.headers.get_all("Content-Disposition", [])
                assert disposition.startswith("inline")
                assert {name: answer.headers[name] for name in SHOWN} == SHOWN
        case 405:
            assert answer.headers["Allow"] == "GET, HEAD"
        case 412 | 416:
            assert len(answer.body) < 100
    if row.status in {200, 206, 304}:
        (kept,) = answer.headers.get_all("Cache-Control", [])
        assert kept.startswith("private, max-age=")
        assert answer.headers.get_all("Vary") == ["Cookie"]
        if row.size:
            assert answer.headers.get_all("ETag") == [words["tag"]]
    else:
        assert answer.headers["ETag"] is None
        assert "private" not in answer.headers.get("Cache-Control", "")
    if row.status == 416:
        assert answer.headers["Cache-Control"] == "no-store"


# --- the table -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row"),
    [(name, row) for name in STORED for row in ROWS if row.number in ASKED[name]],
    ids=str,
)
def test_a_stored_file(site: Site, name: str, row: Row) -> None:
    file = site.files["photo" if row.size else "empty"]
    before = site.downloads()
    follow(site.column(name), file.path, row, site.words)
    assert site.downloads() == before


@pytest.mark.parametrize(
    ("name", "row"), FETCHED, ids=lambda part: str(part).replace("local", "provider")
)
def test_a_file_that_is_fetched_for_its_viewer(site: Site, name: str, row: Row) -> None:
    path = (site.waiting if row.size else site.waiting_empty).pop()
    column, before = site.column(name), site.downloads()
    if row.status == 405:
        with Reader(column.port) as reader:
            compare(row, reader.ask(row.method, path), site.words)
        assert site.downloads() == before
        return
    follow(column, path, row, site.words)
    assert site.downloads() == before + 1


@pytest.mark.parametrize("row", OF_A_MESSAGE, ids=str)
@pytest.mark.parametrize("name", ["local-stream", "local-accel"])
def test_a_file_by_its_message(site: Site, name: str, row: Row) -> None:
    follow(site.column(name), site.message, row, site.words)


@pytest.mark.parametrize("name", ["local-stream", "moto-accel"])
def test_staff_get_what_a_link_gets(site: Site, name: str) -> None:
    path = site.files["photo"].path.partition("?")[0]
    for row in (row for row in ROWS if row.number in {1, 3, 13, 33}):
        follow(site.column(name), path, row, site.words, ("Cookie", site.cookie))
    with Reader(site.column(name).port) as reader:
        assert reader.ask("GET", path).status == 404


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5000000-5000999", 5_000_000, 5_000_999),
        (f"bytes={len(LARGE) - 10}-", len(LARGE) - 10, len(LARGE) - 1),
        (
            f"bytes={len(LARGE) - 10}-99999999999999999999999",
            len(LARGE) - 10,
            len(LARGE) - 1,
        ),
        ("bytes=-10", len(LARGE) - 10, len(LARGE) - 1),
    ],
)
# nginx asks the bucket for the range; rclone answers a range with 200, which is not for nginx to
# put right.
@pytest.mark.parametrize("name", [name for name in STORED if name != "rclone-accel"])
def test_a_part_of_a_large_file(
    site: Site, name: str, asked: str, first: int, last: int
) -> None:
    with Reader(site.column(name).port) as reader:
        for _ in range(2):
            answer = reader.ask("GET", site.files["large"].path, (("Range", asked),))
            assert (answer.status, answer.headers["Content-Range"]) == (
                206,
                f"bytes {first}-{last}/{len(LARGE)}",
            )
            assert answer.body == LARGE[first : last + 1]
            assert answer.headers.get_all("Content-Length") == [str(last - first + 1)]


@pytest.mark.parametrize("name", ["local-stream", "local-accel"])
def test_who_guesses_passwords_is_counted_by_their_own_address(
    site: Site, name: str
) -> None:
    """Nobody outside says whose request it is: not to nginx, and not to the web server itself."""
    port, number = site.column(name).port, STORED.index(name) + 2
    tries = [
        guess(port, address=f"127.0.0.{number}", forwarded=f"203.0.113.{n}")
        for n in range(11)
    ]
    assert tries == [200] * 10 + [429]
    assert guess(port, address=f"127.0.1.{number}", forwarded="203.0.113.1") == 200


# --- what goes wrong -----------------------------------------------------------------------


def test_a_reader_that_leaves_leaves_nothing_behind(
    site: Site, streaming: Column
) -> None:
    log, path = streaming.hub.web.log, site.files["large"].path
    with Reader(streaming.port) as reader:
        reader.ask("GET", path, START)
    said, before = len(log.read_text()), open_files(streaming)
    with ExitStack() as readers:
        for _ in range(5):
            reader = readers.enter_context(Reader(streaming.port, buffer=4096))
            reader.begin("GET", path)
            assert reader.stream.read(4) == LARGE[:4]
        assert open_files(streaming) >= before + 5
    until(lambda: open_files(streaming) <= before)
    assert "Traceback" not in log.read_text()[said:]


@pytest.fixture(params=["local-stream", "rclone-stream"])
def streaming(site: Site, request: pytest.FixtureRequest) -> Column:
    return site.column(request.param)


def open_files(column: Column) -> int:
    """Those of the web process, without the database's, of which each thread keeps its own."""
    arbiter = column.hub.web.pid
    (worker,) = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()
    targets = []
    for each in Path(f"/proc/{worker}/fd").iterdir():
        with suppress(FileNotFoundError):
            targets.append(os.readlink(each))
    return sum("db.sqlite3" not in target for target in targets)


@pytest.mark.parametrize("name", ["local-stream", "local-accel", "rclone-stream"])
def test_a_file_that_the_storage_has_lost_comes_from_its_provider_once(
    site: Site, name: str
) -> None:
    column, file, before = site.column(name), site.lost.pop(), site.downloads()
    for row in ROWS[:14]:
        follow(column, file.path, row, site.words)
    assert site.downloads() == before + 1
    kept = column.place.storage.head(file.key)
    assert kept is not None and kept.size == row.size


@pytest.mark.parametrize("name", ["local-stream", "local-accel"])
def test_a_file_that_is_gone_from_everywhere_is_404(site: Site, name: str) -> None:
    column, file = site.column(name), site.gone.pop()
    # The first one finds it out, the second one is told.
    for headers in (START, ()):
        with Reader(column.port) as reader:
            answer = reader.ask("GET", file.path, headers)
        assert (answer.status, answer.headers.get_all("Cache-Control")) == (
            404,
            ["no-store"],
        )
        assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "name", ["local-stream", "local-accel", "rclone-stream", "rclone-accel"]
)
def test_a_storage_that_is_down_is_503_and_nobody_asks_the_provider(
    site: Site, name: str
) -> None:
    column, before = site.column(name), site.provider.received()
    with down(column), Reader(column.port) as reader:
        for headers in ((), START):
            answer = reader.ask("GET", site.files["large"].path, headers)
            assert (answer.status, answer.headers.get_all("Cache-Control")) == (
                503,
                ["no-store"],
            )
            assert int(answer.headers["Retry-After"]) > 0
    assert site.provider.received() == before
    with Reader(column.port) as reader:
        assert reader.ask("GET", site.files["large"].path).body == LARGE


@contextmanager
def down(column: Column) -> Iterator[None]:
    """Without its folder, or with its S3 server killed."""
    server = column.place.server
    folder = Path(column.place.env.get("MEDIA_ROOT", column.hub.directory))
    aside = folder.with_name("aside")
    if server:
        server.kill()
    else:
        folder.rename(aside)
    try:
        yield
    finally:
        if server:
            server.start()
        else:
            aside.rename(folder)


@pytest.mark.parametrize("name", ["rclone-stream", "rclone-accel"])
def test_a_bucket_that_breaks_off_ends_the_connection(site: Site, name: str) -> None:
    column = site.column(name)
    with Reader(column.port, buffer=4096) as reader:
        answer = reader.begin("GET", site.files["large"].path)
        start = reader.stream.read(1000)
        with down(column):
            short = start + reader.stream.read()
    assert answer.status == 200
    assert len(short) < int(answer.headers["Content-Length"]) == len(LARGE)
    assert LARGE.startswith(short)


@pytest.mark.parametrize("name", ["local-stream", "local-accel"])
def test_a_file_that_is_cut_while_it_is_sent_ends_the_connection(
    site: Site, name: str
) -> None:
    column, file = site.column(name), site.files["cut"]
    put(column.place.storage, file.key, LARGE, replace=True)
    with Reader(column.port, buffer=4096) as reader:
        answer = reader.begin("GET", file.path)
        start = reader.stream.read(1000)
        # Behind what is on its way: the kernel sends the pages of the file itself.
        os.truncate(Path(column.place.env["MEDIA_ROOT"], file.key), len(LARGE) - 1000)
        short = start + reader.stream.read()
    assert answer.status == 200
    assert len(short) < int(answer.headers["Content-Length"]) == len(LARGE)
    assert LARGE.startswith(short)
