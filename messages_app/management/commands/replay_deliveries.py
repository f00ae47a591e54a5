from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from media_app.management import options as common_options
from media_app.management.operator import OperatorCommand
from media_app.management.report import Report
from messages_app import inbox
from messages_app.models import Delivery, DeliveryQuerySet, QuarantinedItem
from messages_app.providers import PROVIDERS

CHUNK = 100
# Bodies are searched a few at a time: each may be many megabytes.
SEARCHED_AT_ONCE = 20


class Command(OperatorCommand):
    help = """Read stored deliveries again from their raw bytes, after a reader was fixed.

It deletes nothing and doubles nothing: what was read before stays. Exits 1 when
some still can't be read in full."""
    examples = (
        ("replay_deliveries", "all that could not be read, or only in part"),
        (
            "replay_deliveries --since 2026-11-20",
            "only those received on that day and later",
        ),
        (
            "replay_deliveries 3fa9c1d2e4b7",
            "the one whose id begins so, whatever its state",
        ),
        (
            "replay_deliveries --field history",
            "those of this field of Meta's webhooks, whatever their state",
        ),
    )
    # Its one line says all.
    has_summary = False

    def add_options(self, parser: CommandParser) -> None:
        states = [str(state) for state in Delivery.State]
        parser.add_argument(
            "ids", nargs="*", metavar="ID", help="a delivery's id or its beginning"
        )
        parser.add_argument(
            "--state",
            action="append",
            choices=states,
            help="failed and partial; with ids or fields: any (repeatable)",
        )
        parser.add_argument(
            "--field",
            action="append",
            metavar="FIELD",
            help="of Meta's webhooks: history, standby, … (repeatable)",
        )
        common_options.add_period(parser, "received")

    def run(self, options: dict[str, Any], report: Report) -> None:
        chosen = _chosen(options).order_by("received_at", "id")
        if options["field"]:
            ids = _with_field(chosen, options["field"])
        else:
            ids = list(chosen.values_list("id", flat=True))
        states: Counter[str] = Counter()
        quarantined = 0
        report.expect(len(ids))
        for start in range(0, len(ids), CHUNK):
            chunk = ids[start : start + CHUNK]
            _read_again(chunk)
            states.update(
                Delivery.objects.filter(id__in=chunk).values_list("state", flat=True)
            )
            quarantined += QuarantinedItem.objects.filter(delivery__in=chunk).count()
            report.advance(len(chunk))
        read = states[Delivery.State.PROCESSED]
        left = len(ids) - read
        outcome = {
            "replayed": len(ids),
            "read": read,
            "unreadable": left,
            "quarantined_items": quarantined,
        }
        report.counts.update(outcome)
        report.impersonal_line(
            f"{len(ids)} deliveries replayed: {read} read, {left} still quarantined",
            **outcome,
        )
        if left:
            raise CommandError(
                f"{left} deliveries still can't be read in full ({quarantined} items in quarantine)"
            )


def _chosen(options: dict[str, Any]) -> DeliveryQuerySet:
    """The requested deliveries. Raises CommandError for an id that is not one delivery's."""
    states: Sequence[str] = options["state"] or ()
    if not states and not options["ids"] and not options["field"]:
        states = ("failed", "partial")
    chosen = Delivery.objects.all()
    if options["ids"]:
        chosen = chosen.filter(
            id__in=[_full_id(beginning) for beginning in options["ids"]]
        )
    if states:
        chosen = chosen.filter(state__in=states)
    if options["since"]:
        chosen = chosen.filter(received_at__gte=options["since"])
    if options["until"]:
        chosen = chosen.filter(received_at__lt=options["until"])
    return chosen


def _with_field(deliveries: DeliveryQuerySet, fields: Sequence[str]) -> list[str]:
    """The ids of those with a change of one of the fields. It reads every body: there is no index
    for that.
    """
    names = b"|".join(re.escape(field.encode()) for field in fields)
    change = re.compile(rb'"field"\s*:\s*"(?:' + names + rb')"')
    endpoints = [
        endpoint
        for provider in PROVIDERS.values()
        if provider.has_fields
        for endpoint in provider.endpoints
    ]
    bodies = (
        deliveries.filter(endpoint__in=endpoints)
        .values_list("id", "body")
        .iterator(chunk_size=SEARCHED_AT_ONCE)
    )
    return [id for id, body in bodies if change.search(body)]


def _full_id(beginning: str) -> str:
    ids = list(
        Delivery.objects.filter(id__startswith=beginning.lower()).values_list(
            "id", flat=True
        )[:2]
    )
    if len(ids) != 1:
        found = "No delivery"
        if ids:
            found = "More than one delivery"
        raise CommandError(f"{found} has an id like {beginning!r}.")
    return ids[0]


def _read_again(ids: Sequence[str]) -> None:
    replayed = Delivery.objects.filter(id__in=ids)
    replayed.replay()
    inbox.drain_until_read(replayed)
