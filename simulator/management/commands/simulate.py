from __future__ import annotations

import json
import sys
import time
from argparse import RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from statistics import quantiles
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from simulator.accounts import Accounts
from simulator.burst import PROVIDERS, Burst
from simulator.hub_settings import LOOPBACK, check_secrets, ports, why_refused
from simulator.outcome import Outcome, examine, wait_until_settled
from simulator.posting import Answer, accepted, send
from simulator.progress import Progress
from simulator.provider import SimulatedProvider
from simulator.vendor_state import NAME


class Command(BaseCommand):
    help = f"""Play both providers: send a burst of signed webhooks to a running hub, serve
the files it then fetches, wait until all are stored, and compare every row and byte with
what was sent.

The hub (web, worker, sweeper) and this command need the same environment, with the
providers on this machine:

  {LOOPBACK}

Examples:

  python manage.py simulate
      30 photos from each of 20 senders, 3 times each
  python manage.py simulate --provider both --mix --json
      every kind of file, for a machine to read

Exits 0 when nothing was lost and nothing doubled, otherwise 1.
"""

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--photos", type=int, default=30, help="photos from each sender (30)"
        )
        parser.add_argument(
            "--senders", type=int, default=20, help="customers who send at once (20)"
        )
        parser.add_argument(
            "--parallel",
            type=int,
            default=16,
            help="requests on their way at once (16)",
        )
        parser.add_argument(
            "--duplicates",
            type=int,
            default=3,
            help="times that each delivery is posted (3)",
        )
        parser.add_argument(
            "--provider", choices=(*PROVIDERS, "both"), default="meta", help="(meta)"
        )
        parser.add_argument(
            "--seed",
            type=int,
            default=1,
            help="other numbers, other senders and photos (1)",
        )
        parser.add_argument(
            "--mix",
            action="store_true",
            help="videos, voice notes, documents, stickers, texts too",
        )
        parser.add_argument(
            "--redeliver",
            action="store_true",
            help="post again what is not answered 200",
        )
        parser.add_argument(
            "--url",
            default=settings.PUBLIC_URL,
            help=f"the hub ({settings.PUBLIC_URL})",
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=120.0,
            help="seconds until all must be stored (120)",
        )
        parser.add_argument(
            "--json", action="store_true", help="the outcome as JSON on stdout"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = Accounts.from_environment()
        involved: tuple[str, ...] = (options["provider"],)
        if options["provider"] == "both":
            involved = PROVIDERS
        check_secrets(involved)
        port, cdn_port = ports(involved)
        burst = Burst(
            photos=options["photos"],
            senders=options["senders"],
            duplicates=options["duplicates"],
            provider=options["provider"],
            seed=options["seed"],
            mix=options["mix"],
            accounts=accounts,
            public_url=settings.PUBLIC_URL,
            api_url=settings.TWILIO_API_URL,
            links=f"http://127.0.0.1:{cdn_port}" if options["mix"] else "",
        )
        signed, ledger = burst.build()
        sending, storing = Progress("sent", sys.stderr), Progress("stored", sys.stderr)
        with _provider(port, cdn_port, accounts):
            answers: list[Answer] = []

            def count(answer: Answer) -> None:
                answers.append(answer)
                sending.show(len(answers), len(signed))

            send(
                signed,
                options["url"].rstrip("/"),
                parallel=options["parallel"],
                redeliver=options["redeliver"],
                on_answer=count,
            )
            sending.end()
            answered = time.monotonic()
            kept = accepted(ledger, answers)
            wait_until_settled(
                kept, timeout=options["timeout"], on_progress=storing.show
            )
            seconds = round(time.monotonic() - answered, 1)
            storing.end()
            outcome = examine(kept)
        refused = len(ledger.messages) - len(kept.messages)
        self._report(outcome, answers, refused, seconds, as_json=options["json"])
        if refused or not outcome.is_complete:
            why = why_refused(answers, options["url"])
            raise CommandError(
                f"{refused} messages refused, {len(outcome.problems)} problems{why}"
            )

    def _report(
        self,
        outcome: Outcome,
        answers: Sequence[Answer],
        refused: int,
        seconds: float,
        *,
        as_json: bool,
    ) -> None:
        statuses = Counter(answer.status for answer in answers)
        half, most = _latencies(answers)
        if as_json:
            webhooks = {
                "statuses": statuses,
                "refused_messages": refused,
                "p50_ms": half,
                "p99_ms": most,
            }
            self.stdout.write(
                json.dumps(
                    {**asdict(outcome), "seconds": seconds, "webhooks": webhooks}
                )
            )
            return
        said = ", ".join(
            f"{count} × {status or 'no answer'}"
            for status, count in sorted(statuses.items())
        )
        self.stdout.write(outcome.table())
        self.stdout.write(
            f"webhooks: {said}; half within {half} ms, 99 % within {most} ms"
        )
        self.stdout.write(f"all settled {seconds} s after the last answer")
        for problem in outcome.problems[:20]:
            self.stdout.write(f"  {problem}")
        if len(outcome.problems) > 20:
            self.stdout.write(
                f"  … and {len(outcome.problems) - 20} more (--json has all)"
            )


@contextmanager
def _provider(port: int, cdn_port: int, accounts: Accounts) -> Iterator[None]:
    """The provider that already listens there, or one for as long as this command runs."""
    if _is_running(port):
        yield
        return
    provider = SimulatedProvider(port=port, cdn_port=cdn_port, accounts=accounts)
    try:
        provider.start()
    except OSError as error:
        raise CommandError(
            f"Ports {port} and {cdn_port} of 127.0.0.1 must be free for the simulator: "
            f"{error.strerror}."
        ) from error
    try:
        yield
    finally:
        provider.stop()


def _is_running(port: int) -> bool:
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"http://127.0.0.1:{port}/simulator", timeout=2).json()
    except (requests.RequestException, ValueError):
        return False
    return isinstance(answer, dict) and answer.get("simulator") == NAME


def _latencies(answers: Sequence[Answer]) -> tuple[int, int]:
    """The median and the 99th percentile, in milliseconds."""
    times = [answer.seconds * 1000 for answer in answers]
    if len(times) < 2:
        return (round(times[0]), round(times[0])) if times else (0, 0)
    cuts = quantiles(times, n=100, method="inclusive")
    return round(cuts[49]), round(cuts[98])
