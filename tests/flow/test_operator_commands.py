"""Operators' commands as processes: on a terminal, and when they are told to stop."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from media_app.models import CommandRun, Media
from mediahub.env import BASE_DIR
from messages_app import inbox
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, photo
from tests.messages.mail import arrive
from tests.messages.rival import environment
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

PHOTOS = 3


@pytest.fixture
def env(provider: SimulatedProvider, media_root: Path) -> Iterator[dict[str, str]]:
    """For a process that works beside the test, with some photos to fetch."""
    arrive(album(*map(photo, range(PHOTOS))))
    inbox.drain()
    yield {
        **environment(),
        "MEDIA_ROOT": str(media_root),
        "META_ACCESS_TOKEN": provider.accounts.meta_access_token,
        "META_GRAPH_URL": provider.api_url,
        "META_MEDIA_HOSTS": provider.cdn_host,
    }
    provider.silent = False


def backfill(
    env: dict[str, str], stderr: int | IO[str], *options: str
) -> subprocess.Popen[str]:
    argv = [sys.executable, str(BASE_DIR / "manage.py"), "backfill_media", *options]
    return subprocess.Popen(
        argv, env=env, cwd=BASE_DIR, stdout=subprocess.PIPE, stderr=stderr, text=True
    )


def test_a_terminal_shows_a_progress_bar(env: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with backfill(env, theirs) as process:
        os.close(theirs)
        out, _ = process.communicate(timeout=180)
    shown = _read_all(ours)
    assert process.returncode == 0, shown
    assert "100%" in shown
    assert f"{PHOTOS}/{PHOTOS} [" in shown
    assert out.splitlines()[-1] == f"{PHOTOS} attempted, {PHOTOS} stored"


def test_sigterm_ends_it_after_what_is_begun(
    env: dict[str, str], provider: SimulatedProvider
) -> None:
    provider.silent = True
    with backfill(env, subprocess.PIPE, "--json", "--workers", "1") as process:
        until(Media.objects.filter(state=Media.State.FETCHING).exists)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert any(line.startswith("Stopping") for line in process.stderr)
        # The file that is begun ends now: its request is cut off, or was not sent before.
        provider.silent = False
        out, error = process.communicate(timeout=180)
    assert process.returncode == 3, error
    summary = json.loads(out.splitlines()[-1])
    assert summary["outcome"] == CommandRun.objects.get().state == "interrupted"
    assert summary["counts"]["attempted"] == 1
    states = Media.objects.order_by("state").values_list("state", "attempts")
    assert list(states[:2]) == [("pending", 0), ("pending", 0)]
    assert list(states[2:]) in ([("retrying", 1)], [("stored", 1)])


def _read_all(descriptor: int) -> str:
    """What a terminal shows, to its end."""
    shown = b""
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:
            # Linux says so when nobody has the other side any more.
            part = b""
        if not part:
            os.close(descriptor)
            return shown.decode()
        shown += part
