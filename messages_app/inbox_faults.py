"""Whether the delivery or the database caused an error of the drainer."""

from __future__ import annotations

import logging
from uuid import uuid4

from django.db import Error, OperationalError, transaction

from media_app.database_errors import described, is_beyond_limits, is_outage
from messages_app.event_rows import apply_events, events_of
from messages_app.models import Delivery

log = logging.getLogger(__name__)


def is_ambiguous(error: Exception) -> bool:
    """Whether the delivery or the database may have caused it: a statement was cancelled, memory
    or disk is full, …
    """
    return (
        isinstance(error, OperationalError)
        and not is_outage(error)
        and not is_beyond_limits(error)
    )


def database_works_without(suspect: Delivery) -> bool:
    """Whether the database accepts as many bytes, and a delivery that was read before. Everything
    is rolled back.
    """
    known = (
        Delivery.objects.filter(state=Delivery.State.PROCESSED)
        .order_by("-received_at", "id")
        .first()
    )
    try:
        with transaction.atomic():
            Delivery.objects.create(
                id=uuid4().hex,
                endpoint=suspect.endpoint,
                body=suspect.body,
                state=Delivery.State.PROCESSED,
            )
            if known is not None:
                apply_events([(known, event) for event in events_of(known)])
            transaction.set_rollback(True)
    except Error:
        return False
    return True


def log_error(message: str, error: Exception, **extra: object) -> None:
    """Log it with its traceback. Of a database error only class and code: its text quotes rows,
    with people's numbers.
    """
    if isinstance(error, Error):
        log.error("%s: %s", message, described(error), extra=extra)
    else:
        log.error(message, exc_info=error, extra=extra)
