"""Import pictures of other systems: ``python -m bench.imports --lines 1000 --files 5000``.

Lines with pictures in base64, ten of them broken, then a folder with EXIF times, Unicode and
duplicate names. Each import is killed half-way, run to its end, and run once more. Prints a line
for each; exits 1 unless each picture is there once, with its bytes and its time, and the broken
lines are listed. With ``--screens`` the page of one of each kind is opened in Chromium, and its
picture is kept in that folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from bench import import_sources
from bench.import_sources import WIDTH, Source
from mediahub.env import BASE_DIR
from simulator.hub import Hub
from simulator.provider import SimulatedProvider
from tests.browsers import running_chromium
from tests.hubs import postgres, stored
from tests.waiting import until

PAGE = "/admin/media_app/media/"
PASSWORD = "of-the-bench-only"
ANOTHER_RUNS = 11
FILES = """
import json
from media_app.models import Media
for m in Media.objects.filter(source="import").order_by("occurred_at", "id"):
    print("FILE", json.dumps([m.sha256, int(m.occurred_at.timestamp()), m.state, str(m.id)]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append")
    parser.add_argument("--screens", type=Path)
    options = parser.parse_args()
    problems: list[str] = []
    for database in options.database or ("sqlite", "postgres"):
        with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
            env: dict[str, str] = {}
            if database == "postgres":
                env = stack.enter_context(postgres(Path(directory)))[1]
            provider = stack.enter_context(SimulatedProvider())
            hub = Hub(
                Path(directory) / "hub",
                api_url=provider.api_url,
                cdn_host=provider.cdn_host,
                env=env,
            )
            hub.manage("migrate", "--noinput", "--verbosity", "0")
            sources = [
                import_sources.lines(Path(directory), options.lines),
                import_sources.folder(Path(directory), options.files),
            ]
            for source in sources:
                problems += _imported(hub, database, source)
            if options.screens:
                options.screens.mkdir(parents=True, exist_ok=True)
                problems += _looked_at(hub, sources, options.screens)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _imported(hub: Hub, database: str, source: Source) -> list[str]:
    before = stored(hub)
    began = time.monotonic()
    _killed(hub, source, after=len(source.times) // 2)
    killed_at = stored(hub) - before
    waited = time.monotonic()
    *lines, summary = _run(hub, source)
    seconds = waited - began + summary.pop("seconds")
    *_, again = _run(hub, source)
    again_seconds = again.pop("seconds")
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(
        f"{database}, {source.path.name}: {len(source.times)} files in {seconds:.0f} s, killed at "
        f"{killed_at}, at most {megabytes} MB; {summary['counts']}; again in "
        f"{again_seconds:.0f} s: {again['counts']}",
        flush=True,
    )
    problems = []
    broken = {line["line"] for line in lines if line["result"] == "broken"}
    if broken != source.broken:
        problems.append(
            f"the broken lines are {sorted(source.broken)}: {sorted(broken)}"
        )
    expected = {"known": len(source.times)}
    if source.broken:
        expected["broken"] = len(source.broken)
    if again["counts"] != expected:
        problems.append(f"the second run says {again['counts']}")
    if stored(hub) - before != len(source.times):
        problems.append(f"{stored(hub) - before} objects of {len(source.times)}")
    found = {digest: (at, state) for digest, at, state, _ in _files(hub)}
    wrong = [
        digest
        for digest, at in source.times.items()
        if found.get(digest) != (at, "stored")
    ]
    if wrong:
        problems.append(f"{len(wrong)} files are missing, or of another time")
    return [f"{database}, {source.path.name}: {problem}" for problem in problems]


def _files(hub: Hub) -> Iterator[tuple[str, int, str, str]]:
    """Digest, time, state and id of each imported file."""
    said = hub.manage("shell", "--verbosity", "0", "--command", FILES)
    for line in said.splitlines():
        if line.startswith("FILE "):
            digest, at, state, id = json.loads(line.removeprefix("FILE "))
            yield digest, at, state, id


def _killed(hub: Hub, source: Source, *, after: int) -> None:
    """Kill a run when it has told of so many files."""
    process, _ = _begun(hub, source)
    assert process.stdout is not None
    for _ in range(after):
        process.stdout.readline()
    process.kill()
    process.communicate()


def _run(hub: Hub, source: Source) -> list[dict[str, Any]]:
    """The lines of a run to its end; the summary is last, with its seconds."""
    process, first = _begun(hub, source)
    began = time.monotonic()
    out, _ = process.communicate()
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in (first + out).splitlines()
    ]
    lines[-1]["seconds"] = time.monotonic() - began
    return lines


def _begun(hub: Hub, source: Source) -> tuple[subprocess.Popen[str], str]:
    """A run and its first line. It begins when the lease of a killed one has ended."""
    manage = (sys.executable, str(BASE_DIR / "manage.py"))
    while True:
        process = subprocess.Popen(
            [*manage, "import_media", str(source.path), *source.options, "--json"],
            env={**hub.env, "PYTHONUNBUFFERED": "1"},
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        if first := process.stdout.readline():
            return process, first
        assert process.wait() == ANOTHER_RUNS, process.returncode
        time.sleep(2)


def _looked_at(hub: Hub, sources: list[Source], folder: Path) -> list[str]:
    """Open the page of the first file of each kind of each source."""
    ids = {digest: id for digest, _, _, id in _files(hub)}
    hub.env |= {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    hub.manage(
        *("createsuperuser", "--noinput", "--username", "root"),
        *("--email", "root@example.com"),
    )
    chosen = [
        (source.path.name, ids[digest])
        for source in sources
        for digest in list(source.times)[: 3 if source.broken else 1]
    ]
    problems = []
    with hub, running_chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1500})
        page.goto(f"{hub.url}/admin/")
        page.get_by_label("Username").fill("root")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        for number, (name, id) in enumerate(chosen):
            try:
                until(partial(_shows_picture, page, f"{hub.url}{PAGE}{id}/change/"))
            except AssertionError:
                problems.append(f"{name}: no picture on the page of {id}")
            page.screenshot(path=folder / f"{number}-{name}.png")
    return problems


def _shows_picture(page: Page, url: str) -> bool:
    """Open the page. Until a worker has made the preview it shows another picture."""
    page.goto(url)
    shown = page.locator(".media-stage img")
    shown.evaluate("image => image.decode()")
    return bool(shown.evaluate("image => image.naturalWidth") == WIDTH)


if __name__ == "__main__":
    sys.exit(main())
