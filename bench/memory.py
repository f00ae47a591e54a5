"""An operators' command over many rows and objects: how much memory and time it takes.

The rows are in a database of their own; a server that only lists has the same objects, but for a
thousandth that is lost and a thousandth of another size. The command runs in a process of its own,
with the settings and the client of a bucket.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import django

from bench.listing_stub import Listing, serving
from mediahub.env import BASE_DIR
from tests.hubs import postgres
from tests.servers import S3_KEY_ID, S3_SECRET

OWNERS_OF = 10
SIZE = 7


@dataclass(frozen=True, slots=True)
class Figures:
    counts: dict[str, int]
    seconds: float
    #: Megabytes of the process: before the command, and the most while it ran.
    before: float
    peak: float


def measured(
    command: Sequence[str],
    *,
    total: int,
    database: str,
    changes: Sequence[str] = (),
    **settings: str,
) -> Figures:
    """Run ``manage.py`` with this command over so many rows and objects. ``database`` is sqlite or
    postgres; ``changes`` are SQL statements, run once the rows are there.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = _environment(directory)
        if database == "postgres":
            env |= stack.enter_context(postgres(directory))[1]
        env |= settings
        installation = _child(["prepare", str(total), *changes], env)
        listing = Listing(total, key, size, number_of, marker=installation)
        env["AWS_S3_ENDPOINT_URL"] = stack.enter_context(serving(listing))
        return Figures(**json.loads(_child(["run", *command], env)))


def size(number: int) -> int | None:
    """Of the object with this number; None where it is lost."""
    if number % 1000 == 500:
        return None
    return SIZE + (number % 1000 == 700)


def key(number: int) -> str:
    """The keys are in the order of the numbers."""
    owner = f"whatsapp:+1{number // OWNERS_OF:09}"
    return f"{owner}/{1716120000 + number % OWNERS_OF}-0-{number:012x}.jpeg"


def number_of(key: str) -> int:
    return int(key.rpartition("-")[2].partition(".")[0], 16)


def _environment(directory: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "mediahub.settings",
        "SECRET_KEY": "a-key-for-benches-only",
        "DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "LOG_LEVEL": "ERROR",
        "MEDIA_STORAGE_BACKEND": "s3",
        "AWS_S3_BUCKET": "media",
        "AWS_ACCESS_KEY_ID": S3_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        # Nothing is there before the rows are.
        "AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1",
    }


def _child(arguments: Sequence[str], env: dict[str, str]) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.memory", *arguments],
        check=True,
        env=env,
        cwd=BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )
    return ran.stdout.splitlines()[-1]


# --- in processes of their own ----------------------------------------------------

# The same keys in SQL, with the ids that they name.
_SQL = {
    "sqlite": {
        "id": "printf('%012x%020d', n, 0)",
        "owner": "printf('whatsapp:+1%09d', n / 10)",
        "key": "printf('whatsapp:+1%09d/%d-0-%012x.jpeg', n / 10, 1716120000 + n % 10, n)",
    },
    "postgresql": {
        "id": "(lpad(to_hex(n), 12, '0') || repeat('0', 20))::uuid",
        "owner": "'whatsapp:+1' || lpad((n / 10)::text, 9, '0')",
        "key": (
            "'whatsapp:+1' || lpad((n / 10)::text, 9, '0') || '/' || (1716120000 + n % 10)"
            " || '-0-' || lpad(to_hex(n), 12, '0') || '.jpeg'"
        ),
    },
}


def prepare(total: int, changes: Sequence[str]) -> None:
    """Migrate the database, and let it make so many stored files. Prints the installation's id."""
    from django.core.management import call_command
    from django.db import connection

    from media_app.models import Installation, Media
    from tests.media.files import announcement

    call_command("migrate", verbosity=0)
    row = announcement().as_row()
    row.state, row.size, row.sha256 = Media.State.STORED, SIZE, "0" * 64
    row.stored_at = row.announced_at
    row.save(force_insert=True)
    columns = [field.attname for field in Media._meta.concrete_fields]
    own = _SQL[connection.vendor]
    values = ", ".join(own.get(column, f"template.{column}") for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE numbers(n) AS "
            f"(SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {total}) "
            f"INSERT INTO media_app_media ({', '.join(columns)}) "
            f"SELECT {values} FROM numbers, media_app_media AS template"
        )
        for statement in changes:
            cursor.execute(statement)
        cursor.execute("ANALYZE")
    row.delete()
    Installation.objects.note_marked()
    print(Installation.objects.current())


def run(command: Sequence[str]) -> None:
    """Run the command, and print its figures."""
    from django.core.management import CommandError, call_command

    from media_app.storage import media_storage

    media_storage().marker()
    before, began = _memory("VmRSS"), time.monotonic()
    lines = _LastLine()
    name, *options = command
    try:
        call_command(name, "--json", *options, stdout=lines, stderr=StringIO())
    except CommandError as error:
        print(error, file=sys.stderr)
    figures = {
        "counts": json.loads(lines.last)["counts"],
        "seconds": time.monotonic() - began,
        "before": before,
        "peak": _memory("VmHWM"),
    }
    print(json.dumps(figures))


class _LastLine(StringIO):
    """Forgets all lines but the last."""

    last = ""

    def write(self, text: str) -> int:
        self.last = text.strip() or self.last
        return len(text)


def _memory(name: str) -> float:
    """Of this process, in megabytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "prepare":
        prepare(int(sys.argv[2]), sys.argv[3:])
    else:
        run(sys.argv[2:])
