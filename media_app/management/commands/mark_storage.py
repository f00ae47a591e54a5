"""Make the storage of the settings ours."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from media_app import installation
from media_app.management.operator import OperatorCommand, RefusedError
from media_app.management.report import Report
from media_app.storage import media_storage


class Command(OperatorCommand):
    help = """Say that the storage of the settings is the one of this database, and complete.

The hub marks its storage by itself. This is for after a change on purpose: files that
were copied to another folder or bucket without the marker, or an empty storage to start again
with."""
    examples = (
        ("mark_storage", "a storage that carries no marker"),
        ("mark_storage --replace", "one that another installation has used"),
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--replace",
            action="store_true",
            help="take it over from another installation",
        )

    def run(self, options: dict[str, Any], report: Report) -> None:
        storage, replace = media_storage(), options["replace"]
        try:
            is_new = installation.write_marker(storage, replace=replace)
        except installation.ForeignStorageError as error:
            raise RefusedError(f"{error} --replace takes it over.") from error
        text = "The storage is marked already."
        if is_new:
            text = "The storage is marked."
        report.impersonal_line(text, is_new=is_new)
