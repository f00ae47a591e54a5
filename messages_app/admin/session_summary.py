"""The summary of a session, as the business gets it."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse

from messages_app.models import PhotoSession
from messages_app.summaries import as_text, summarize, with_links


def summary_text(session: PhotoSession, *, may_give_links: bool) -> str:
    """As the business gets it. Users who may not give out links see addresses that need a login."""
    summary = summarize(session)
    if may_give_links:
        return str(with_links(summary.as_data(0))["text"])
    urls = [
        f"{settings.PUBLIC_URL}{reverse('media', args=[photo.media.id])}"
        for photo in summary.photos
    ]
    return as_text(urls, session.details)
