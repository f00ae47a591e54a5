"""What is asked of a folder alone."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.conf import settings

from media_app import queues
from media_app.capabilities.answers import Answer, failed, ok, warning
from media_app.storage import DiskStorage
from media_app.storage.base import MARKER, SCRATCH
from media_app.storage.disk.files import disk_errors

#: Less room than for the largest file fails; less than for so many of them is a warning.
_FILES_OF_ROOM = 50
_INODES = 10_000
_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "gluster", "afs", "lustre", "fuse")
# Each host that checked the folder leaves a file there, by its name.
_HOSTS = f"{MARKER}-hosts"
_FORGET_HOSTS_AFTER_SECONDS = 30 * 24 * 3600


def attempts(storage: DiskStorage) -> dict[str, Callable[[], Answer]]:
    root = storage.root
    return {
        "owner": _guarded(_owner, root),
        "room": _guarded(_room, root),
        "locks": _guarded(_locks, root),
        "file_system": _guarded(_file_system, root),
        "hosts": _guarded(_hosts, root),
    }


def _guarded(attempt: Callable[[Path], Answer], root: Path) -> Callable[[], Answer]:
    def guarded() -> Answer:
        with disk_errors():
            return attempt(root)

    return guarded


def _owner(root: Path) -> Answer:
    status = root.stat()
    if status.st_mode & stat.S_IRWXO:
        mode = stat.filemode(status.st_mode)
        return warning(f"Every user of this host may enter the folder ({mode}).")
    if status.st_uid != os.geteuid():
        return warning("The folder belongs to another user than the one who asks.")
    return ok("The folder belongs to the user who asks, and others are kept out.")


def _room(root: Path) -> Answer:
    disk = os.statvfs(root)
    return enough(disk.f_bavail * disk.f_frsize, disk.f_favail, disk.f_files)


def enough(free: int, free_inodes: int, inodes: int) -> Answer:
    """Bytes, and files that may still be made; some file systems (``inodes`` 0) count none."""
    largest = settings.MEDIA_MAX_BYTES
    text = f"{free / 1024**3:,.1f} GiB are free."
    if free < largest or 0 == free_inodes < inodes:
        return failed(f"{text} The next file may find no room.")
    if free < _FILES_OF_ROOM * largest:
        return warning(
            f"{text} That is room for {free // largest} of the largest files."
        )
    if inodes and free_inodes < _INODES:
        return warning(f"{text} Only {free_inodes:,} more files can be made (inodes).")
    return ok(text)


def _locks(root: Path) -> Answer:
    with NamedTemporaryFile(dir=root / SCRATCH) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with Path(file.name).open("rb") as other:
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return ok("Locks keep others out.")
    return failed("A lock does not keep others out.")


def _file_system(root: Path) -> Answer:
    kind = file_system_of(root, Path("/proc/self/mountinfo"))
    if not kind:
        return ok("The kind of the file system can't be told on this host.")
    if kind.startswith(_NETWORK):
        return warning(f"The folder is on a network file system ({kind}).")
    return ok(f"The folder is on a local file system ({kind}).")


def file_system_of(path: Path, mounts: Path) -> str:
    """The kind, from Linux's table of mounts (proc(5)); "" where there is none."""
    if not mounts.exists():
        return ""
    best, kind = -1, ""
    for line in mounts.read_text().splitlines():
        before, _, after = line.partition(" - ")
        # Spaces and the like are written as octal numbers.
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def _hosts(root: Path) -> Answer:
    own = socket.gethostname()
    folder = root / _HOSTS
    folder.mkdir(mode=0o750, exist_ok=True)
    (folder / own).write_bytes(b"")
    written = set()
    for file in folder.iterdir():
        if time.time() - file.stat().st_mtime > _FORGET_HOSTS_AFTER_SECONDS:
            file.unlink(missing_ok=True)
        else:
            written.add(file.name)
    return shared(own, working=queues.hosts(), written=written)


def shared(own: str, *, working: Collection[str], written: Collection[str]) -> Answer:
    """``working`` are the hosts of workers, ``written`` those whose file is in the folder."""
    others = set(working) - {own}
    if not others:
        return ok("No worker runs on another host.")
    if strangers := sorted(others - set(written)):
        return failed(
            f"Workers run on {', '.join(strangers)}, and nothing that was written there is seen "
            "here."
        )
    return ok(f"What {len(others)} other hosts wrote is seen here.")
