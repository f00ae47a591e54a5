"""Operators' commands that staff start: a worker of their own queue runs them."""

from __future__ import annotations

import logging
import os

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import close_old_connections

from media_app import queues
from media_app.allowed_jobs import ForbiddenJobError
from media_app.timing import COMMAND_JOB_SECONDS

RUN = "media_app.command_jobs.run"

log = logging.getLogger(__name__)


def enqueue(command: str, started_by: str) -> bool:
    """Queue a run of one of STAFF_COMMANDS. False when Redis takes no job."""
    return queues.enqueue(
        "commands", RUN, command, started_by, timeout=COMMAND_JOB_SECONDS
    )


def run(command: str, started_by: str) -> None:
    """Run the command without options. How it ended is on its CommandRun.

    Raises ForbiddenJobError for a command that is none of STAFF_COMMANDS: whoever can write to
    Redis could delete files otherwise.
    """
    close_old_connections()
    if command not in settings.STAFF_COMMANDS:
        raise ForbiddenJobError(f"{command[:100]} is not in STAFF_COMMANDS")
    with open(os.devnull, "w") as nobody:
        try:
            call_command(command, started_by=started_by, stdout=nobody, stderr=nobody)
        except CommandError as error:
            log.info(
                "a command did not do all",
                extra={"command": command, "exit_code": error.returncode},
            )
