"""Progress is a bar for people and a few lines for logs."""

from __future__ import annotations

from io import StringIO

from simulator.progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_for_each_tenth() -> None:
    log = StringIO()
    progress = Progress("stored", log)
    for done in range(201):
        progress.show(done, 200)
    assert log.getvalue().splitlines() == [
        f"stored {done}/200" for done in range(0, 201, 20)
    ]


def test_a_terminal_gets_one_line_that_fills_up() -> None:
    terminal = Terminal()
    progress = Progress("stored", terminal)
    for done in (0, 1, 2):
        progress.show(done, 2)
    progress.end()
    assert terminal.getvalue().split("\r")[1:] == [
        f"stored [{'·' * 30}] 0/2",
        f"stored [{'█' * 15}{'·' * 15}] 1/2",
        f"stored [{'█' * 30}] 2/2\n",
    ]


def test_nothing_to_do_is_all_done() -> None:
    log = StringIO()
    Progress("sent", log).show(0, 0)
    assert log.getvalue() == "sent 0/0\n"
