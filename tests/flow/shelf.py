"""A running hub with files that were put into it, and what it was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from django.contrib.auth.models import User
from django.test import Client

from media_app.filetypes import HEAD, base_type, decide_type, sniff
from media_app.models import Media
from media_app.signing import Disposition, link
from media_app.storage import media_storage
from simulator.hub import Hub
from tests.hubs import running_hub
from tests.media.files import announcement, keep
from tests.waiting import until

_LOGGED = re.compile(r'"ASKED (\d{3}) (\S+) ([^"]+)"')
_FORMAT = "ASKED %(s)s %(U)s %({range}i)s"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as a customer sends it."""

    body: bytes
    announced: str
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file on the shelf, and its addresses."""

    id: str
    content_type: str
    #: Of the file, for staff.
    path: str
    #: Signed, for everybody.
    link: str
    #: Signed, to a download.
    download: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    #: The Range header of the request, or "-".
    range: str


class Asked:
    """What the hub was asked for since this was made."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._since = log.stat().st_size

    def __call__(self, path: str) -> list[Answer]:
        """The answers for a path that have ended, the oldest first."""
        with self._log.open("rb") as log:
            log.seek(self._since)
            text = log.read().decode(errors="replace")
        return [
            Answer(int(status), range)
            for status, found, range in _LOGGED.findall(text)
            if found == path
        ]


@dataclass(frozen=True, slots=True)
class Shelf:
    hub: Hub
    files: dict[str, Kept]
    #: Of a superuser's session.
    session: str

    def __getitem__(self, name: str) -> Kept:
        return self.files[name]

    def asked(self) -> Asked:
        return Asked(self.hub.web.log)


@contextmanager
def shelf(
    directory: Path, files: dict[str, Sent], *, storage: str = "local"
) -> Iterator[Shelf]:
    """A hub that has stored these files as it would have on their way in. ``storage`` is local or
    rclone (S3).
    """
    env = {"GUNICORN_CMD_ARGS": f"--access-logfile - --access-logformat '{_FORMAT}'"}
    with running_hub(directory, storage=storage, env=env) as hub:
        # Nobody else shall want to fetch what is put here.
        hub.worker.stop()
        hub.sweeper.stop()
        for name, file in files.items():
            (directory / name).write_bytes(file.body)
        manifest = directory / "manifest.json"
        manifest.write_text(
            json.dumps(
                {name: [file.announced, file.filename] for name, file in files.items()}
            )
        )
        put = f"from tests.flow.shelf import put; put({str(manifest)!r})"
        printed = json.loads(hub.manage("shell", "--no-imports", "-c", put))
        kept = {name: Kept(**words) for name, words in printed["files"].items()}
        yield Shelf(hub, kept, printed["session"])


def put(manifest: str) -> None:
    """Inside the hub's environment: store the manifest's files, and print where they are and a
    superuser's session.
    """
    names: dict[str, tuple[str, str]] = json.loads(Path(manifest).read_text())
    files = {
        name: _put(Path(manifest).with_name(name).read_bytes(), announced, filename)
        for name, (announced, filename) in names.items()
    }
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    print(json.dumps({"files": files, "session": browser.cookies["sessionid"].value}))


def _put(body: bytes, announced: str, filename: str) -> dict[str, str]:
    said = announcement(content_type=announced, filename=filename)
    keep(said)
    lease = Media.objects.claim()
    assert lease is not None and lease.media.id == said.id
    media = lease.media
    content_type, differs = decide_type(announced, sniff(body[:HEAD]))
    media_storage().put(
        media.key,
        BytesIO(body),
        size=len(body),
        content_type=base_type(content_type),
        metadata={},
    )
    Media.objects.mark_stored(
        lease,
        key=media.key,
        sha256=sha256(body).hexdigest(),
        size=len(body),
        content_type=content_type,
        type_differs=differs,
    )
    return {
        "id": str(media.id),
        "content_type": content_type,
        "path": f"/media/{media.id}/",
        "link": link(media),
        "download": link(media, Disposition.ATTACHMENT),
    }


def settled(asked: Asked, path: str, answers: int) -> list[Answer]:
    """The answers for the path, once there are so many: a reader may be done before the log is."""
    until(lambda: len(asked(path)) >= answers)
    return asked(path)
