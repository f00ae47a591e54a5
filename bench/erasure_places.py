"""Where a hub keeps things, to be backed up, restored and searched byte by byte."""

from __future__ import annotations

import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import psycopg
from psycopg.rows import dict_row

from simulator.processes import free_port
from tests.hubs import postgres
from tests.servers import S3_KEY_ID, S3_SECRET, moto_server
from tests.storage.buckets import connect

Table = tuple[str, list[dict[str, Any]]]
_LEASES = (
    "UPDATE media_app_commandrun SET state = 'interrupted' WHERE state = 'running'",
    "UPDATE messages_app_erasurerequest SET lease_until = NULL",
    "UPDATE messages_app_drainlease SET until = NULL, token = NULL",
    "UPDATE media_app_media SET lease_until = NULL, lease_token = NULL",
)


class Places(ABC):
    """A database and a bucket."""

    name: str
    env: Mapping[str, str]

    @abstractmethod
    def execute(self, *statements: str) -> None: ...

    @abstractmethod
    def rows(self) -> Iterator[Table]:
        """All rows of all tables."""

    @abstractmethod
    def database_files(self) -> Iterator[Path]: ...

    @abstractmethod
    def objects(self) -> Iterator[tuple[str, bytes]]:
        """The key and the bytes of each object, and what else the storage keeps of it."""

    @abstractmethod
    def vacuum(self) -> None: ...

    @abstractmethod
    def back_up(self) -> None: ...

    @abstractmethod
    def restore(self) -> None:
        """Yesterday's database, and yesterday's objects beside those of today."""

    def end_leases(self) -> None:
        """As if an hour had passed since a run was killed."""
        self.execute(*_LEASES)


class Folder(Places):
    """SQLite and a local folder."""

    name = "SQLite and a folder"

    def __init__(self, directory: Path) -> None:
        self._database = directory / "database" / "db.sqlite3"
        self._media = directory / "media"
        self._backup = directory / "backup"
        self._database.parent.mkdir()
        self.env = {
            "DATABASE_URL": f"sqlite:///{self._database}",
            "MEDIA_ROOT": str(self._media),
        }

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self._database, isolation_level=None)) as open:
            for statement in statements:
                open.execute(statement)

    def rows(self) -> Iterator[Table]:
        with closing(sqlite3.connect(self._database)) as open:
            open.row_factory = sqlite3.Row
            names = open.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names.fetchall():
                found = open.execute(f'SELECT * FROM "{name}"').fetchall()
                yield name, [dict(row) for row in found]

    def database_files(self) -> Iterator[Path]:
        yield from self._database.parent.iterdir()

    def objects(self) -> Iterator[tuple[str, bytes]]:
        for path in self._media.rglob("*"):
            if path.is_file():
                yield str(path.relative_to(self._media)), path.read_bytes()

    def vacuum(self) -> None:
        self.execute("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")

    def back_up(self) -> None:
        self.vacuum()
        shutil.copytree(self._media, self._backup / "media")
        shutil.copy(self._database, self._backup / "db.sqlite3")

    def restore(self) -> None:
        for path in self._database.parent.iterdir():
            path.unlink()
        shutil.copy(self._backup / "db.sqlite3", self._database)
        shutil.copytree(self._backup / "media", self._media, dirs_exist_ok=True)


class Servers(Places):
    """PostgreSQL and moto's S3."""

    name = "PostgreSQL and S3"

    def __init__(self, database: Mapping[str, str], port: int) -> None:
        self.url = database["DATABASE_URL"]
        self._port = port
        self._kept: dict[str, Any] = {}
        self.env = {
            **database,
            "MEDIA_STORAGE_BACKEND": "s3",
            "AWS_S3_BUCKET": "media",
            "AWS_ACCESS_KEY_ID": S3_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
            "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }

    def execute(self, *statements: str) -> None:
        self._execute(self.url, *statements)

    def _execute(self, url: str, *statements: str) -> None:
        with psycopg.connect(url, autocommit=True) as open:
            for statement in statements:
                open.execute(statement.encode())

    def rows(self) -> Iterator[Table]:
        with psycopg.connect(self.url, row_factory=dict_row) as open:
            names = open.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
            for name in [row["tablename"] for row in names]:
                yield name, open.execute(f'SELECT * FROM "{name}"'.encode()).fetchall()

    def database_files(self) -> Iterator[Path]:
        with psycopg.connect(self.url) as open:
            found = open.execute(
                "SELECT current_setting('data_directory'), oid FROM pg_database "
                "WHERE datname = 'mediahub'"
            ).fetchone()
        assert found is not None
        yield from (Path(found[0]) / "base" / str(found[1])).iterdir()

    def objects(self) -> Iterator[tuple[str, bytes]]:
        with connect(self._port, "media") as storage:
            for page in storage.client.get_paginator("list_objects_v2").paginate(
                Bucket="media"
            ):
                for each in page.get("Contents", ()):
                    found = storage.client.get_object(Bucket="media", Key=each["Key"])
                    told = repr(found["Metadata"]).encode()
                    yield each["Key"], found["Body"].read() + told

    def vacuum(self) -> None:
        self.execute("VACUUM FULL", "CHECKPOINT")

    def back_up(self) -> None:
        base = self.url.rpartition("/")[0]
        self._execute(f"{base}/postgres", "CREATE DATABASE yesterday TEMPLATE mediahub")
        with connect(self._port, "media") as storage:
            for each in [*storage.list("")]:
                self._kept[each.key] = storage.client.get_object(
                    Bucket="media", Key=each.key
                )
                self._kept[each.key]["Body"] = self._kept[each.key]["Body"].read()

    def restore(self) -> None:
        base = self.url.rpartition("/")[0]
        self._execute(
            f"{base}/postgres",
            "DROP DATABASE mediahub WITH (FORCE)",
            "CREATE DATABASE mediahub TEMPLATE yesterday",
        )
        with connect(self._port, "media") as storage:
            for key, found in self._kept.items():
                storage.client.put_object(
                    Bucket="media",
                    Key=key,
                    Body=found["Body"],
                    Metadata=found["Metadata"],
                    ContentType=found["ContentType"],
                )


@contextmanager
def places(directory: Path, database: str) -> Iterator[Places]:
    if database == "sqlite":
        yield Folder(directory)
        return
    port = free_port()
    server = moto_server(directory, port)
    server.start()
    try:
        client = boto3.Session(S3_KEY_ID, S3_SECRET, region_name="us-east-1").client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}"
        )
        client.create_bucket(Bucket="media")
        client.close()
        with postgres(directory) as (_, url):
            yield Servers(url, port)
    finally:
        server.stop()
