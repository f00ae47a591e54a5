"""The key that erased people are known by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

# Shorter ones can be guessed, and with the key a number can be found by trying all of them.
SHORTEST_KEY = 32


@register
def check_erasure_key(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A short key would let others find out who was erased."""
    if all(len(key) >= SHORTEST_KEY for key in settings.ERASURE_KEY):
        return []
    return [
        Warning(
            f"ERASURE_KEY is shorter than {SHORTEST_KEY} characters: who guesses it can find "
            "out who was erased.",
            hint='Make one: python -c "import secrets; print(secrets.token_hex(32))". '
            "A key that people were erased with stays behind the new one, after a comma.",
            id="media_app.W008",
        )
    ]
