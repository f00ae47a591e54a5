"""What all operators' commands have in common.

One run at a time, recorded for staff; lines for people or for programs; exit codes that tell:
0 done, 1 failed, 2 usage, 3 partly, 4 refused by a guard, 11 another one runs.
"""

from __future__ import annotations

import getpass
import logging
import signal
import socket
import threading
from abc import abstractmethod
from argparse import Action, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO, cast
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connection

from media_app.installation import ForeignStorageError
from media_app.management.options import HARMLESS, SomeOf
from media_app.management.report import Report, StoppedError
from media_app.models import CommandRun
from media_app.storage import StorageError
from media_app.timing import COMMAND_LEASE_RENEWAL_SECONDS

log = logging.getLogger(__name__)

State = CommandRun.State

PARTLY, REFUSED, ANOTHER_RUNS = 3, 4, 11
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RefusedError(Exception):
    """A guard forbids what the command was asked for. The text says why and what to do, without
    personal data. Nothing was changed.
    """


class OperatorCommand(BaseCommand):
    """A command that an operator can stop or kill at any point and run again.

    A subclass has a ``help``, two ``examples``, its own options, and a ``run`` that calls a plain
    function and reports what it yields.
    """

    #: Each a command line without ``python manage.py``, and what it does.
    examples: tuple[tuple[str, str], ...]
    #: Whether the counts are told at the end.
    has_summary = True
    # For the admin: the user of a job says nothing to staff.
    stealth_options = ("started_by",)
    _own_options: list[Action]

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        lines = [
            f"  python manage.py {line}\n      {what}" for line, what in self.examples
        ]
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=RawDescriptionHelpFormatter,
            epilog="\n".join(["examples:", *lines]),
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        common = len(parser._actions)
        self.add_options(parser)
        self._own_options = parser._actions[common:]
        parser.add_argument(
            "--json",
            action="store_true",
            help="one JSON object a line, then a summary (docs/operations.md)",
        )
        parser.set_defaults(started_by="")

    def add_options(self, parser: CommandParser) -> None:
        """The options of this command alone."""

    @abstractmethod
    def run(self, options: dict[str, Any], report: Report) -> None:
        """Do the work. Raises RefusedError, StorageError (a foreign storage refuses the
        command), CommandError; call ``report.fail`` for
        what can't be done while the rest can.
        """

    def handle(self, *args: Any, **options: Any) -> None:
        # As in media_app.management.commands.NAME.
        name = type(self).__module__.rpartition(".")[2]
        # Django's wrappers would color each move of a progress bar, and end it with a new line.
        out, err = (cast(TextIO, each._out) for each in (self.stdout, self.stderr))
        report = Report(out, err, is_json=options["json"])
        id = CommandRun.objects.begin(
            name,
            started_by=options["started_by"] or operator_name(),
            arguments=self._recorded(options),
        )
        if id is None:
            raise CommandError(
                f"{name} runs already. If that run was killed, try again in a minute.",
                returncode=ANOTHER_RUNS,
            )
        state, reason = State.FAILED, ""
        is_job = bool(options["started_by"])
        try:
            with _leased(id, report), _stoppable(report, is_job=is_job):
                self.run(options, report)
            state = State.PARTLY if report.failed else State.DONE
        except (RefusedError, ForeignStorageError) as error:
            state, reason = State.REFUSED, str(error)
            raise CommandError(f"Refused: {error}", returncode=REFUSED) from error
        except StoppedError as error:
            state, reason = State.INTERRUPTED, str(error)
            raise CommandError(
                f"{error} Run it again to go on.", returncode=PARTLY
            ) from error
        except StorageError as error:
            # Its text may name a key, which has a number.
            reason = type(error).__name__
            raise CommandError(str(error)) from error
        except BaseException as error:
            reason = type(error).__name__
            raise
        finally:
            CommandRun.objects.end(
                id,
                state,
                counts=report.counts,
                reason=reason,
                plan_digest=report.plan_digest,
                lines=report.kept,
            )
            if self.has_summary:
                report.summarize(name, state)
            else:
                report.close()
        if report.failed:
            raise CommandError(
                f"{report.failed:,} could not be done.", returncode=PARTLY
            )

    def _recorded(self, options: dict[str, Any]) -> str:
        """The command's own options that were given."""
        return " ".join(
            _as_typed(action, options[action.dest])
            for action in self._own_options
            if options[action.dest] != action.default
        )


@contextmanager
def _leased(id: UUID, report: Report) -> Iterator[None]:
    """Renew the run's lease from a thread of its own; when it is lost, the report stops the run."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(COMMAND_LEASE_RENEWAL_SECONDS):
            try:
                held = CommandRun.objects.renew(id)
            except Error as error:
                # The lease lasts for a while; the database may be back by the next renewal.
                log.warning("lease not renewed", extra={"error": str(error)})
                continue
            finally:
                connection.close()
            if not held:
                report.stop("The command did not reach the database for too long.")
                return

    renewer = threading.Thread(target=renew, name="command-lease", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        done.set()
        renewer.join()


@contextmanager
def _stoppable(report: Report, *, is_job: bool) -> Iterator[None]:
    """SIGINT and SIGTERM raise StoppedError. In a job the worker gets them as well, which ends
    after its job: the report ends that soon.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        if not is_job:
            raise StoppedError("The command was stopped.")
        report.stop("The worker was stopped.")
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def operator_name() -> str:
    """Who runs the command: the user and the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        user = "operator"
    return f"{user}@{socket.gethostname()}"


def _as_typed(action: Action, value: object) -> str:
    """An option as it may be recorded: with its value where that can't be a name, a number of a
    person or a path.
    """
    name = ""
    if action.option_strings:
        name = action.option_strings[-1]
    if action.nargs == 0:
        return name
    values = [value]
    if isinstance(value, list | tuple):
        values = [*value]
    text = "…"
    if action.choices or isinstance(action.type, SomeOf) or action.type in HARMLESS:
        text = ",".join(map(str, values))
    return f"{name} {text}".strip()
