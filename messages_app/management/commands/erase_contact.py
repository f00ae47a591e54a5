from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser

from media_app import tombstones
from media_app.installation import ForeignStorageError
from media_app.management import options as common_options
from media_app.management.operator import (
    OperatorCommand,
    RefusedError,
    operator_name,
)
from media_app.management.report import Report
from media_app.storage import StorageError
from messages_app.erasing import flow
from messages_app.erasing.counting import counts_of
from messages_app.erasing.person import owners_of
from messages_app.models import ErasureRequest
from messages_app.timing import ERASURE_LEASE

LOOK_SECONDS = 0.5
_REFUSED = (tombstones.KeyMissingError, flow.BusinessError, ForeignStorageError)


class Command(OperatorCommand):
    help = """Erase one person: messages, files, raw deliveries, sessions, and all that names them.

Without --apply it counts what would go. With it the request is kept until it is done: a hold on
the contact, or a storage that is down, makes it wait, and the sweeper goes on with it. Messages
that reach the hub after the request are new, and stay.

Backups, versioned buckets, the database's free pages and logs are not reached:
docs/operations.md says what to do there."""
    examples = (
        ("erase_contact +14335551212", "count what is there of this person"),
        (
            "erase_contact +14335551212 --apply",
            "erase it, and print the certificate",
        ),
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "owner",
            type=common_options.sender,
            metavar="OWNER",
            help="+14335551212, whatsapp:+14335551212, sms:…, or a hidden id",
        )
        parser.add_argument(
            "--due",
            type=common_options.moment,
            metavar="TIME",
            help="by when it has to be done (in 30 days)",
        )
        common_options.add_apply(parser)

    def run(self, options: dict[str, Any], report: Report) -> None:
        try:
            flow.check_key()
            flow.check_person(owners_of(options["owner"]))
            flow.check_storage()
        except _REFUSED as error:
            raise RefusedError(str(error)) from error
        except StorageError:
            if not options["apply"]:
                raise
            # The request waits for it.
        if not options["apply"]:
            for name, number in counts_of(options["owner"]).items():
                report.line(
                    f"{number:,} {name.replace('_', ' ')}", would_erase={name: number}
                )
            report.note("Nothing is erased. --apply erases it.")
            return
        request = flow.request_erasure(
            options["owner"],
            requested_by=options["started_by"] or operator_name(),
            due_at=options["due"],
        )
        _carry_out(request, report)


def _carry_out(request: ErasureRequest, report: Report) -> None:
    ends_at = time.monotonic() + 2 * ERASURE_LEASE.total_seconds()
    while not flow.carry_out(request.id, progress=report.advance):
        # The sweeper is at it, or a run that was killed.
        report.advance(0)
        if _is_done(request) or time.monotonic() >= ends_at:
            break
        time.sleep(LOOK_SECONDS)
    request.refresh_from_db()
    for name, number in request.counts.items():
        report.count(name, number)
    if request.is_done:
        report.line(_text_of(request), certificate=request.certificate)
        return
    report.fail("waiting")
    reason = request.reason or "The sweeper is carrying it out."
    report.line(
        f"The erasure {request.id} waits: {reason}",
        request=str(request.id),
        state=request.state,
        reason=reason,
    )


def _is_done(request: ErasureRequest) -> bool:
    request.refresh_from_db()
    return request.is_done


def _text_of(request: ErasureRequest) -> str:
    """The certificate for people."""
    lines = [f"Certificate of erasure {request.id}"]
    for name, value in (request.certificate or {}).items():
        if name != "request":
            lines.append(f"  {name.replace('_', ' ')}: {value}")
    return "\n".join(lines)
