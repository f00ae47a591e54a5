"""The ways to a file: a web server for each, and nginx where it belongs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mediahub.env import BASE_DIR
from simulator.hub import Hub
from simulator.processes import Process, accepts_connections, answers, free_port
from tests.hubs import running_hub
from tests.servers import nginx_server

NAIVE = ("naive: storages", "naive: boto3, 1 KB", "naive: boto3, 256 KB")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that every way serves."""

    path: str
    token: str
    key: str
    sha256: str
    link: str
    size: int


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the files. ``pid`` is gunicorn's, 0 where the hub has no part in it."""

    name: str
    port: int
    pid: int = 0
    prefix: str = ""
    #: For whoever comes by a signed link it streams.
    staff_only: bool = False

    def path(self, file: StoredFile, *, session: bool) -> str:
        if self.name == "S3 itself":
            parts = urlsplit(file.link)
            return f"{parts.path}?{parts.query}"
        if self.name == "nginx":
            return f"/{file.key}"
        return f"{self.prefix}{file.path}" + ("" if session else f"?token={file.token}")

    def url(self, file: StoredFile, *, session: bool = False) -> str:
        return f"http://127.0.0.1:{self.port}{self.path(file, session=session)}"


@contextmanager
def running_ways(directory: Path, database: str) -> Iterator[tuple[Hub, list[Way]]]:
    """One database and one bucket; a web server for each way, and nginx where it belongs."""
    env = {
        "DJANGO_SETTINGS_MODULE": "bench.delivery_settings",
        "LOG_LEVEL": "WARNING",
    }
    with ExitStack() as stack:
        hub = stack.enter_context(
            running_hub(directory, database=database, storage="rclone", env=env)
        )
        # What is measured is files; the work behind messages would share the processors.
        hub.worker.stop()
        hub.sweeper.stop()
        yield hub, _ways(_Servers(stack, directory, hub))


class _Servers:
    """Started one after another; they stop with the stack."""

    def __init__(self, stack: ExitStack, directory: Path, hub: Hub) -> None:
        self._stack = stack
        self._directory = directory
        self.hub = hub
        self.bucket = int(hub.env["AWS_S3_ENDPOINT_URL"].rpartition(":")[2])
        self._media = Path(hub.env["MEDIA_ROOT"])
        self._media.mkdir(exist_ok=True)

    def web(self, name: str, **env: str) -> tuple[int, int]:
        """A web server of the hub with more environment: its port and its process id."""
        port = free_port()
        gunicorn = (sys.executable, "-m", "gunicorn", "mediahub.wsgi")
        process = Process(
            name,
            [*gunicorn, "--bind", f"127.0.0.1:{port}"],
            log=self._directory / f"{name}.log",
            env={**self.hub.env, **env},
            cwd=BASE_DIR,
            ready=answers(f"http://127.0.0.1:{port}/healthz"),
        )
        return self._running(process, port), process.pid

    def nginx(self, name: str, behind: int) -> int:
        """nginx as it is shipped, in front of the web server at this port."""
        place, port = self._directory / name, free_port()
        place.mkdir()
        process = nginx_server(
            place, port, hub=behind, media_root=self._media, bucket=self.bucket
        )
        return self._running(process, port)

    def plain_nginx(self) -> int:
        port = free_port()
        return self._running(_plain_nginx(self._directory, port, self._media), port)

    def _running(self, process: Process, port: int) -> int:
        process.start()
        self._stack.callback(process.stop)
        return port


def _ways(servers: _Servers) -> list[Way]:
    hub = servers.hub
    bucket_accel, bucket_accel_pid = servers.web("bucket-accel", MEDIA_DELIVERY="accel")
    disk_accel, disk_accel_pid = servers.web(
        "disk-accel", MEDIA_DELIVERY="accel", MEDIA_STORAGE_BACKEND="local"
    )
    redirect = servers.web("redirect", MEDIA_DELIVERY="redirect")
    disk = servers.web("disk-stream", MEDIA_STORAGE_BACKEND="local")
    naive = servers.web("naive")
    return [
        Way("S3 itself", servers.bucket),
        Way("S3, stream", hub.port, hub.web.pid),
        Way("S3, accel", servers.nginx("nginx-bucket", bucket_accel), bucket_accel_pid),
        Way("S3, redirect", *redirect, staff_only=True),
        Way("naive: storages", *naive, prefix="/storages"),
        Way("naive: boto3, 1 KB", *naive, prefix="/boto3/1024"),
        Way("naive: boto3, 256 KB", *naive, prefix="/boto3/262144"),
        Way("nginx", servers.plain_nginx()),
        Way("disk, stream", *disk),
        Way("disk, accel", servers.nginx("nginx-disk", disk_accel), disk_accel_pid),
    ]


def _plain_nginx(directory: Path, port: int, media: Path) -> Process:
    """nginx with nothing but a folder."""
    config = directory / "plain.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        f"pid {directory}/plain.pid; daemon off; {user} worker_processes auto; "
        "worker_rlimit_nofile 20000;\n"
        "events { worker_connections 8192; }\n"
        "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n"
        f"server {{ listen 127.0.0.1:{port}; root {media}; }} }}\n"
    )
    return Process(
        "plain-nginx",
        ["nginx", "-c", config, "-e", "stderr"],
        log=directory / "plain.log",
        ready=accepts_connections(port),
    )


def keep_files(hub: Hub, sizes: dict[str, int]) -> tuple[str, dict[str, StoredFile]]:
    """A superuser's session, and a file of each size."""
    code = f"from bench.delivery_files import keep_files; keep_files({sizes!r})"
    kept = json.loads(hub.manage("shell", "--no-imports", "-c", code))
    return kept["session"], {
        name: StoredFile(**file, size=sizes[name])
        for name, file in kept["files"].items()
    }
