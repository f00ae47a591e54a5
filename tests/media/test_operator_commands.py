"""What all operators' commands have in common."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, CommandParser, call_command
from django.db.models.functions import Now

from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand, RefusedError
from media_app.management.report import Report
from media_app.models import CommandRun
from media_app.storage import StorageError
from media_app.timing import (
    COMMAND_LEASE,
    COMMAND_LEASE_RENEWAL_SECONDS,
    FETCH_LEASE,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Work = Callable[[Report], None]


class Counting(OperatorCommand):
    """A command whose work each test chooses."""

    help = "Count."
    examples = (("counting", "count"), ("counting --limit 5", "count to five"))

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work

    def add_options(self, parser: CommandParser) -> None:
        common_options.add_limit(parser, "things")
        common_options.add_sender(parser)
        common_options.add_apply(parser)

    def run(self, options: dict[str, Any], report: Report) -> None:
        self.work(report)


def run(work: Work, *arguments: str) -> str:
    out = StringIO()
    call_command(Counting(work), *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def exit_code(work: Work, *arguments: str) -> int:
    with pytest.raises(CommandError) as error:
        run(work, *arguments)
    return error.value.returncode


def count_three(report: Report) -> None:
    for number in range(3):
        report.line(f"number {number}", number=number)
        report.count("counted")


def fail_one(report: Report) -> None:
    report.count("counted")
    report.fail("not_counted")


def refuse(report: Report) -> None:
    raise RefusedError("There is nothing to count.")


def lose_storage(report: Report) -> None:
    raise StorageError("whatsapp:+14335551212/1.jpg can't be read")


def break_down(report: Report) -> None:
    raise ZeroDivisionError("14335551212")


def stop(report: Report) -> None:
    report.count("counted")
    report.stop("Stopped by the test.")
    report.advance()


def test_people_read_lines_and_a_summary() -> None:
    assert run(count_three).splitlines() == [
        "number 0",
        "number 1",
        "number 2",
        "3 counted",
    ]


def test_programs_read_json_lines() -> None:
    lines = [json.loads(line) for line in run(count_three, "--json").splitlines()]
    assert lines[:2] == [{"number": 0}, {"number": 1}]
    assert lines[-1] == {
        "command": "test_operator_commands",
        "outcome": "done",
        "counts": {"counted": 3},
    }


@pytest.mark.parametrize(
    ("work", "code", "state"),
    [
        (fail_one, 3, "partly"),
        (refuse, 4, "refused"),
        (lose_storage, 1, "failed"),
        (stop, 3, "interrupted"),
    ],
)
def test_the_exit_code_tells_how_it_ended(work: Work, code: int, state: str) -> None:
    assert exit_code(work) == code
    assert CommandRun.objects.get().state == state


def test_a_defect_is_raised_and_recorded_without_its_text() -> None:
    with pytest.raises(ZeroDivisionError):
        run(break_down)
    recorded = CommandRun.objects.get()
    assert (recorded.state, recorded.reason) == ("failed", "ZeroDivisionError")


def test_a_second_run_exits_11() -> None:
    codes = []
    run(lambda report: codes.append(exit_code(count_three)))
    assert codes == [11]
    assert CommandRun.objects.count() == 1


def test_after_a_killed_run_the_next_one_starts() -> None:
    assert CommandRun.objects.begin(
        "test_operator_commands", started_by="test", arguments=""
    )
    assert exit_code(count_three) == 11
    CommandRun.objects.update(lease_until=Now() - timedelta(seconds=1))
    run(count_three)
    states = CommandRun.objects.order_by("started_at").values_list("state", flat=True)
    assert list(states) == ["interrupted", "done"]


def test_files_of_a_killed_run_are_free_for_the_next_one() -> None:
    since_renewal = timedelta(seconds=COMMAND_LEASE_RENEWAL_SECONDS)
    assert COMMAND_LEASE - since_renewal >= FETCH_LEASE


def test_a_run_that_lost_its_lease_ends_nothing() -> None:
    def lose(report: Report) -> None:
        CommandRun.objects.update(state=CommandRun.State.INTERRUPTED)

    run(lose)
    assert CommandRun.objects.get().state == "interrupted"


def test_a_worker_that_is_stopped_ends_its_command() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))

    def go_on(report: Report) -> None:
        report.count("counted")
        os.kill(os.getpid(), signal.SIGTERM)
        report.advance()

    try:
        with pytest.raises(CommandError, match="The worker was stopped"):
            call_command(Counting(go_on), started_by="vera", stderr=StringIO())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]
    recorded = CommandRun.objects.get()
    assert (recorded.state, recorded.started_by) == ("interrupted", "vera")


def test_a_run_records_no_personal_data() -> None:
    run(count_three, "--sender", "+14335551212", "--limit", "5", "--apply")
    recorded = CommandRun.objects.get()
    assert recorded.arguments == "--limit 5 --sender … --apply"
    assert recorded.counts == {"counted": 3}
    assert exit_code(lose_storage) == 1
    assert not CommandRun.objects.filter(reason__contains="1433").exists()


def test_without_a_terminal_progress_is_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("media_app.management.report.PROGRESS_LINE_SECONDS", 0.0)
    err = StringIO()
    report = Report(StringIO(), err)
    report.expect(1200)
    report.advance(300)
    assert err.getvalue().startswith("300 of 1,200 (")
    assert err.getvalue().endswith(" left)\n")


def test_help_ends_with_two_examples() -> None:
    text = Counting(count_three).create_parser("manage.py", "counting").format_help()
    assert text.rstrip().endswith(
        "python manage.py counting --limit 5\n      count to five"
    )
