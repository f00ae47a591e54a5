"""Whether a session's contact may still be answered: each provider has a reply window."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Now

from messages_app.models import PhotoSession
from messages_app.providers import PROVIDERS
from messages_app.timing import WHATSAPP_REPLY_WINDOW


def is_open(session: PhotoSession, now: datetime) -> bool:
    return now - session.last_at <= _window(session.provider)


def is_over() -> Q:
    """A filter for sessions whose contact may not be answered any more, by the database's clock."""
    over = _without_provider("provider") & Q(last_at__lt=Now() - WHATSAPP_REPLY_WINDOW)
    for each in PROVIDERS.values():
        over |= Q(provider=each.name, last_at__lt=Now() - each.reply_window)
    return over


def of_open_sessions(now: datetime) -> Q:
    """A filter for outbox items whose contact may still be answered."""
    last_at = now - WHATSAPP_REPLY_WINDOW
    is_open = _without_provider("session__provider") & Q(session__last_at__gte=last_at)
    for each in PROVIDERS.values():
        last_at = now - each.reply_window
        is_open |= Q(session__provider=each.name, session__last_at__gte=last_at)
    return is_open


def _window(provider_name: str) -> timedelta:
    provider = PROVIDERS.get(provider_name)
    if provider is None:
        return WHATSAPP_REPLY_WINDOW
    return provider.reply_window


def _without_provider(field: str) -> Q:
    """For rows of a provider that was removed."""
    return ~Q(**{f"{field}__in": list(PROVIDERS)})
