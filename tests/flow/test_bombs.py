"""Bombs in a customer's conversation, and staff who look at other things meanwhile."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import requests

from media_app.management.commands.worker import QUEUES
from mediahub.env import BASE_DIR
from simulator.content import Kind, content
from simulator.hub import Hub
from simulator.processes import Process
from tests.flow.shelf import Sent, Shelf, shelf
from tests.media import bombs
from tests.waiting import until

# Decoded in this order. The first takes seconds; the worker is held up in the midst of it.
PICTURES = {
    "chunks.png": (Sent(bombs.chunked_png(1_500_000), "image/png"), None),
    "scans.jpeg": (
        Sent(bombs.many_scans(2000, 34_000), "image/jpeg"),
        "it has more than 64 scans",
    ),
    "pixels.png": (Sent(bombs.wide_png(20_000), "image/png"), "it has too many pixels"),
    "forty-bytes.webp": (
        Sent(bombs.wide_webp(7000), "image/webp"),
        "it takes too much memory to decode",
    ),
    "canvas.webp": (
        Sent(bombs.claiming_webp(16_000), "image/webp"),
        "it has too many pixels",
    ),
    "texts.png": (
        Sent(bombs.text_png(1_000_000, 200), "image/png"),
        "not a readable picture: ValueError",
    ),
    "half.jpeg": (
        Sent(bombs.truncated_jpeg(), "image/jpeg"),
        "not a readable picture: OSError",
    ),
}
OTHERS = {
    "nested.mp4": Sent(bombs.nested_mp4(10_000), "video/mp4"),
    "endless.mp4": Sent(bombs.endless_mp4(), "video/mp4"),
    "packed.pdf": Sent(bombs.packed_pdf(50_000_000), "application/pdf"),
    "packed.docx": Sent(bombs.packed_docx(50_000_000), "application/zip"),
}
PHOTO, NEW = (Sent(content(Kind.PHOTO, seed).body, "image/jpeg") for seed in (1, 2))


def test_nobody_waits_for_a_bomb(tmp_path: Path) -> None:
    files = {
        "seen": PHOTO,
        **{name: sent for name, (sent, _) in PICTURES.items()},
        **OTHERS,
        "new": NEW,
    }
    with shelf(tmp_path, files) as kept, previews_worker(kept.hub) as worker:
        kept.hub.manage(
            "shell",
            "--no-imports",
            "-c",
            "from media_app import jobs; jobs.enqueue_previews()",
        )
        until(lambda: look(kept, "seen", preview=True).status_code == 200)
        decoder = until(lambda: decoder_of(worker))
        assert decoder is not None
        decoder.suspend()
        until(lambda: decoder.status() == psutil.STATUS_STOPPED)

        assert requests.get(f"{kept.hub.url}/healthz", timeout=60).status_code == 200
        assert look(kept, "seen", preview=True).headers["Content-Type"] == "image/webp"
        for name, file in files.items():
            assert look(kept, name).content == file.body
            assert look(kept, name, preview=True).status_code == (
                404 if name in OTHERS else 200 if name == "seen" else 503
            )
        assert get(kept, "/admin/media_app/media/").status_code == 200
        assert decoder.status() == psutil.STATUS_STOPPED

        decoder.kill()
        until(lambda: look(kept, "new", preview=True).status_code == 200)
        assert outcomes(kept) == {name: error for name, (_, error) in PICTURES.items()}


@contextmanager
def previews_worker(hub: Hub) -> Iterator[Process]:
    options = [f"--{queue}={int(queue == 'previews')}" for queue in QUEUES]
    command: list[str | Path] = [
        sys.executable,
        BASE_DIR / "manage.py",
        "worker",
        *options,
    ]
    worker = Process(
        "previews",
        command,
        log=hub.directory / "previews.log",
        env=hub.env,
        cwd=BASE_DIR,
    )
    worker.start()
    try:
        yield worker
    finally:
        worker.kill()


def decoder_of(worker: Process) -> psutil.Process | None:
    """The process that decodes a file for this worker, if there is one."""
    for each in psutil.Process(worker.pid).children(recursive=True):
        try:
            if "media_app.decoding.child" in each.cmdline():
                return each
        except psutil.NoSuchProcess:
            continue
    return None


def look(kept: Shelf, name: str, *, preview: bool = False) -> requests.Response:
    return get(kept, kept[name].path + ("preview/" if preview else ""))


def get(kept: Shelf, path: str) -> requests.Response:
    return requests.get(
        kept.hub.url + path, cookies={"sessionid": kept.session}, timeout=60
    )


def outcomes(kept: Shelf) -> dict[str, str | None]:
    """Why each bomb's preview was given up; None for one that is tried again later."""
    with closing(sqlite3.connect(kept.hub.directory / "db.sqlite3")) as database:
        rows = database.execute(
            "SELECT id, preview_error, preview_due_at FROM media_app_media"
        ).fetchall()
    found = {id: None if due else error for id, error, due in rows}
    return {name: found[kept[name].id.replace("-", "")] for name in PICTURES}
