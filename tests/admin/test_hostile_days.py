"""A day that no calendar reaches is no filter, and no fault of the server's."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse


@pytest.mark.both_databases
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "%00", "%FF", "2026-13-01"])
def test_a_day_of_nonsense_is_answered(superuser: Client, day: str) -> None:
    page = reverse("admin:messages_app_delivery_changelist")
    for end in ("from", "to"):
        assert superuser.get(page, QUERY_STRING=f"received_at_{end}={day}").status_code < 500
