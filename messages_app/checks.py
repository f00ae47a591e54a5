"""System checks: settings of photo sessions that can't work are reported at start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from messages_app.hand_overs import is_safe


@register
def check_sessions(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Each word means one thing, and the durations are positive."""
    messages: list[CheckMessage] = []
    for name in ("SESSION_TTL_SECONDS", "SUMMARY_LINK_TTL_SECONDS"):
        if getattr(settings, name) < 1:
            messages.append(
                Error(f"{name} must be at least 1.", id="messages_app.E001")
            )
    names = ("START", "DONE", "CANCEL", "RESET")
    words = Counter(
        word.casefold()
        for name in names
        for word in getattr(settings, f"SESSION_WORDS_{name}")
    )
    doubled = [word for word, times in words.items() if times > 1]
    if doubled:
        messages.append(
            Error(
                f"SESSION_WORDS_…: {', '.join(doubled)} would mean more than one thing.",
                id="messages_app.E002",
            )
        )
    if not settings.SESSION_WORDS_DONE:
        messages.append(
            Error(
                "SESSION_WORDS_DONE is empty: no session would ever end well.",
                id="messages_app.E003",
            )
        )
    return messages


@register
def check_business(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Sessions are handed over to a safe address, and with a signature."""
    url = settings.SESSION_WEBHOOK_URL
    if not url:
        return []
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        return [
            Error(
                "SESSION_WEBHOOK_URL is not an address of the web.",
                id="messages_app.E004",
            )
        ]
    if not is_safe(url):
        text = (
            "SESSION_WEBHOOK_URL begins with http://: nothing is handed over, because all "
            "on the way could read it."
        )
        return [Error(text, hint="Write https:// there.", id="messages_app.E005")]
    if not settings.SESSION_WEBHOOK_SECRET:
        return [
            Warning(
                "SESSION_WEBHOOK_URL is set, SESSION_WEBHOOK_SECRET is not: whoever knows the "
                "address can forge them.",
                id="messages_app.W001",
            )
        ]
    return []
