"""Who sent it."""

from __future__ import annotations

from messages_app.providers.owners import owners_among
from tests.providers.deliveries import ADA, ADA_HIDDEN


def test_the_number_comes_first_and_each_owner_once() -> None:
    addresses = (
        "US.4815162342",
        "whatsapp:+14335551212",
        "14335551212",
        "whatsapp:US.4815162342",
    )
    assert owners_among(*addresses) == (ADA, ADA_HIDDEN)


def test_a_number_written_as_a_number_is_one() -> None:
    assert owners_among(14335551212) == (ADA,)


def test_what_names_nobody_is_left_out() -> None:
    assert owners_among(None, "", "Ada", ["14335551212"], True, "1" * 300) == ()
