"""Inserting rows whose ids are computed: the same row twice is the same row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)


def insert_once(
    rows: Sequence[Row], *, no_op_update: str, on: Sequence[str] = ("id",)
) -> None:
    """Insert the rows; those whose ``on`` fields are already there stay as they are.

    ``ON CONFLICT (on)`` names its target, so that any other violation is still an error.
    Django has no DO NOTHING with a target, hence ``no_op_update``: the field that such a row
    updates, always to the value that it has. Sorted by key, so that two batches cannot lock
    each other out.
    """
    if rows:
        model = type(rows[0])
        model._base_manager.bulk_create(
            sorted(rows, key=lambda row: [str(getattr(row, field)) for field in on]),
            update_conflicts=True,
            unique_fields=on,
            update_fields=[no_op_update],
            batch_size=500,
        )
