"""Whether a session's contact may still be answered: each provider has a reply window."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.db.models.functions import Now

from messages_app.models import PhotoSession
from messages_app.providers import PROVIDERS, provider


def is_open(session: PhotoSession, now: datetime) -> bool:
    window = provider(session.provider).reply_window
    return now - session.last_at <= window


def is_over() -> Q:
    """A filter for sessions whose contact may not be answered any more, by the database's clock."""
    over = Q()
    for each in PROVIDERS.values():
        over |= Q(provider=each.name, last_at__lt=Now() - each.reply_window)
    return over


def open_sessions(now: datetime) -> Q:
    """A filter for outbox items whose contact may still be answered."""
    is_open = Q()
    for each in PROVIDERS.values():
        last_at = now - each.reply_window
        is_open |= Q(session__provider=each.name, session__last_at__gte=last_at)
    return is_open
