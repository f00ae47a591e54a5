from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from media_app.workers import supervise

QUEUES = ("inbox", "ingest", "outbox", "handovers", "previews", "commands")


class Command(BaseCommand):
    help = """Run the workers of all queues under one supervisor, until SIGTERM.

  python manage.py worker               one each for deliveries, replies, hand-overs, previews
                                        and staff's commands; four that fetch
  python manage.py worker --ingest 8    more that fetch; they mostly wait for the network
"""

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--inbox",
            type=int,
            default=1,
            metavar="N",
            help="workers that read deliveries (1)",
        )
        parser.add_argument(
            "--ingest",
            type=int,
            default=4,
            metavar="N",
            help="workers that fetch files (4)",
        )
        parser.add_argument(
            "--outbox",
            type=int,
            default=1,
            metavar="N",
            help="workers that send replies (1)",
        )
        parser.add_argument(
            "--handovers",
            type=int,
            default=1,
            metavar="N",
            help="workers that hand sessions over (1)",
        )
        parser.add_argument(
            "--previews",
            type=int,
            default=1,
            metavar="N",
            help="workers that make previews (1)",
        )
        parser.add_argument(
            "--commands",
            type=int,
            default=1,
            metavar="N",
            help="workers that run commands which staff start (1)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        supervise({queue: options[queue] for queue in QUEUES})
