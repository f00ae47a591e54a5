"""One set of files behind several web servers: by what keeps the files, and by who sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from media_app.storage import DiskStorage, S3Storage, Storage
from simulator.hub import Hub
from simulator.processes import Process, free_port
from tests.flow.seeds import LARGE
from tests.flow.table import BODY
from tests.servers import S3_KEY_ID, S3_SECRET, moto_server, nginx_server, rclone_server
from tests.sources.hostile import HostileProvider
from tests.storage.buckets import connect, put

BUCKET = "media"


@dataclass(frozen=True, slots=True)
class File:
    #: With a signed link's token.
    path: str
    key: str


class Place:
    """A storage that has the files."""

    def __init__(
        self,
        storage: Storage,
        env: dict[str, str],
        *,
        server: Process | None = None,
        port: int = 0,
    ) -> None:
        self.storage = storage
        self.env = env
        #: The program and its port, where it is one.
        self.server = server
        self.port = port


@dataclass(frozen=True, slots=True)
class Column:
    """A web server over one of the places, and the port where it is asked: nginx's, where that
    sends the bytes.
    """

    hub: Hub
    place: Place
    port: int


class Site:
    """The files, the provider that has them too, and the columns, each started when it is asked
    for.

    There is nobody but the web: no worker, no sweeper, so what is fetched was fetched for its
    viewer.
    """

    def __init__(
        self, directory: Path, provider: HostileProvider, stack: ExitStack
    ) -> None:
        self.directory = directory
        self.provider = provider
        self._stack = stack
        self._places: dict[str, Place] = {}
        self._columns: dict[str, Column] = {}

    def sow(self, *, waiting: int, waiting_empty: int) -> None:
        hub = self._hub("first", {})
        hub.manage("migrate", "--noinput", "--verbosity", "0")
        # Previews are hinted at.
        self.redis = hub.redis
        self.redis.start()
        self._stack.callback(self.redis.stop)
        self._first = hub
        code = f"from tests.flow.seeds import sow; sow({waiting}, {waiting_empty})"
        self._sown: dict[str, Any] = json.loads(
            hub.manage("shell", "--no-imports", "-c", code)
        )
        self.waiting: list[str] = self._sown["waiting"]
        self.waiting_empty: list[str] = self._sown["waiting empty"]
        #: What the braces of the table stand for.
        self.words: dict[str, str] = {"tag": self._sown["tag"], **self._sown["dates"]}
        self.cookie: str = self._sown["cookie"]
        #: The address of the photo as a message's.
        self.message: str = self._sown["message"]
        self.files = {name: File(**each) for name, each in self._sown["files"].items()}
        #: Stored, say their rows; the storages have nothing.
        self.lost = [File(**each) for each in self._sown["lost"]]
        #: Not even the provider has them.
        self.gone = [File(**each) for each in self._sown["gone"]]

    def column(self, name: str) -> Column:
        """``local-stream``, ``moto-accel`` and so on."""
        if name not in self._columns:
            storage, _, way = name.partition("-")
            place = self.place(storage)
            hub = self._hub(
                name,
                {
                    **place.env,
                    "MEDIA_DELIVERY": way,
                    "REDIS_URL": self._first.env["REDIS_URL"],
                },
            )
            self._stack.callback(hub.web.kill)
            hub.web.start()
            self._columns[name] = Column(
                hub, place, hub.port if way == "stream" else self._nginx(hub, place)
            )
        return self._columns[name]

    def place(self, name: str) -> Place:
        if name not in self._places:
            place = self._places[name] = (
                self._local() if name == "local" else self._bucket(name)
            )
            # One database for several storages: each is ours.
            place.storage.write_marker(self._sown["installation"])
            for file, body in (("photo", BODY), ("empty", b""), ("large", LARGE)):
                put(place.storage, self.files[file].key, body)
        return self._places[name]

    def downloads(self) -> int:
        """How often the provider was asked for a file's bytes."""
        return sum(
            request.path.startswith("/link/") for request in self.provider.received()
        )

    @cached_property
    def _shared(self) -> dict[str, str]:
        return {
            "SECRET_KEY": "one-for-all",
            "DATABASE_URL": f"sqlite:///{self.directory / 'db.sqlite3'}",
        }

    def _hub(self, name: str, env: dict[str, str]) -> Hub:
        return Hub(
            self.directory / name,
            api_url=self.provider.base,
            cdn_host=self.provider.host,
            env={**self._shared, **env},
            web_processes=1,
        )

    def _local(self) -> Place:
        folder = self.directory / "media"
        return Place(DiskStorage(folder), {"MEDIA_ROOT": str(folder)})

    def _bucket(self, name: str) -> Place:
        port, directory = free_port(), self.directory / name
        directory.mkdir()
        server = (
            moto_server(directory, port)
            if name == "moto"
            else rclone_server(directory, port)
        )
        self._stack.callback(server.kill)
        server.start()
        storage: S3Storage = self._stack.enter_context(connect(port, BUCKET))
        storage.client.create_bucket(Bucket=BUCKET)
        env = {
            "MEDIA_STORAGE_BACKEND": "s3",
            "AWS_S3_BUCKET": BUCKET,
            "AWS_ACCESS_KEY_ID": S3_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
            "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }
        return Place(storage, env, server=server, port=port)

    def _nginx(self, hub: Hub, place: Place) -> int:
        port = free_port()
        root = Path(place.env["MEDIA_ROOT"]) if "MEDIA_ROOT" in place.env else None
        nginx = nginx_server(
            hub.directory, port, hub=hub.port, media_root=root, bucket=place.port
        )
        self._stack.callback(nginx.stop)
        nginx.start()
        return port


@contextmanager
def running_site(
    directory: Path, *, waiting: int, waiting_empty: int
) -> Iterator[Site]:
    with ExitStack() as stack:
        provider = stack.enter_context(HostileProvider(body=BODY))
        site = Site(directory, provider, stack)
        site.sow(waiting=waiting, waiting_empty=waiting_empty)
        yield site
