"""The end of a burst: what was announced against the rows and the bytes that the hub holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.db import Error as DatabaseError
from django.db import connection

from media_app.storage import media_storage
from simulator.announced_rows import (
    existing_messages,
    file_id,
    file_rows,
    message_id,
    settled_files,
)
from simulator.file_findings import (
    FileFinding,
    Tally,
    doubled_objects,
    doubled_rows,
    objects_of,
)
from simulator.ledger import Ledger
from simulator.message_findings import contacts_of, message_problems, present_messages

_POLL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a ledger."""

    announced: int
    stored: int
    verified: int
    #: Of the announced messages: those that are there.
    messages: int
    #: People that the announced senders turned into.
    contacts: int
    #: Objects in the bucket that belong to announced files.
    objects: int
    #: Rows and objects beyond one for each message and file.
    doubled: int
    #: Each deviation in one sentence; empty when nothing was lost and nothing doubled.
    problems: tuple[str, ...]
    tallies: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return not self.problems

    def table(self) -> str:
        """Aligned columns, a line for each provider and one for all."""
        names = ("announced", "stored", "verified", "waiting", "failed")
        rows = dict(self.tallies)
        if len(rows) != 1:
            rows["all"] = sum(rows.values(), Tally())
        width = max(map(len, rows))
        lines = [" ".join([" " * width, *(f"{name:>9}" for name in names)])]
        for provider, tally in rows.items():
            cells = [f"{getattr(tally, name):>9}" for name in names]
            lines.append(" ".join([f"{provider:<{width}}", *cells]))
        lines.append(
            f"{self.messages} messages, {self.contacts} contacts, {self.objects} objects, "
            f"{self.doubled} doubled"
        )
        return "\n".join(lines)


def wait_until_settled(
    ledger: Ledger,
    *,
    timeout: float,
    restarts: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> bool:
    """Until every message is there and every file ended, well or not; False after
    ``timeout`` seconds, which with ``restarts`` begin again at each progress.

    A database that is away for a moment is waited for.
    """
    deadline = time.monotonic() + timeout
    total = len(ledger.messages) + len(ledger.files)
    messages = {message_id(message) for message in ledger.messages}
    files = {file_id(file) for file in ledger.files}
    while True:
        waiting = len(messages) + len(files)
        try:
            messages -= existing_messages(messages)
            files -= settled_files(files)
        except DatabaseError:
            connection.close()
        on_progress(total - len(messages) - len(files), total)
        if not messages and not files:
            return True
        if restarts and len(messages) + len(files) < waiting:
            deadline = time.monotonic() + timeout
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def examine(ledger: Ledger) -> Outcome:
    """Compare everything, once, as it is now; each object is read back whole.

    Raises StorageError when the bucket can't be listed, django.db.Error.
    """
    storage = media_storage()
    rows = file_rows(ledger.files)
    findings = {
        file: FileFinding.of(file, rows.get(file_id(file)), storage)
        for file in ledger.files
    }
    tallies: dict[str, Tally] = {}
    for file, finding in findings.items():
        tallies[file.provider] = tallies.get(file.provider, Tally()) + finding.tally
    objects = objects_of(ledger, storage)
    doubles = [*doubled_objects(objects), *doubled_rows(ledger)]
    present = present_messages(ledger)
    total = sum(tallies.values(), Tally())
    return Outcome(
        announced=total.announced,
        stored=total.stored,
        verified=total.verified,
        messages=len(present),
        contacts=len(set(contacts_of(ledger).values())),
        objects=sum(map(len, objects.values())),
        doubled=len(doubles),
        problems=(
            *(finding.problem for finding in findings.values() if finding.problem),
            *message_problems(ledger, present),
            *doubles,
        ),
        tallies=tallies,
    )
