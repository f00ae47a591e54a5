from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from media_app import installation
from media_app.storage import StorageError, media_storage


class Command(BaseCommand):
    help = """Say that the storage of the settings is the one of this database, and complete.

The hub marks its storage by itself. This is for after a change on purpose: files that
were copied to another folder or bucket without the marker, or an empty storage to start again with.

  python manage.py mark_storage              a storage that carries no marker
  python manage.py mark_storage --replace    one that another installation has used
"""

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--replace",
            action="store_true",
            help="take it over from another installation",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            is_new = installation.write_marker(
                media_storage(), replace=options["replace"]
            )
        except installation.ForeignStorageError as error:
            raise CommandError(
                f"{error} --replace takes it over.", returncode=4
            ) from error
        except StorageError as error:
            raise CommandError(str(error)) from error
        text = "The storage is marked already."
        if is_new:
            text = "The storage is marked."
        self.stdout.write(text)
