"""Telling why a webhook is refused: in the log, and to staff by a row that is counted up."""

from __future__ import annotations

import logging
import time
from collections import Counter

from django.db import Error

from messages_app.models import WebhookRefusal
from messages_app.providers.base import Cause, Refusal

log = logging.getLogger(__name__)

# Each process writes the row of an endpoint and cause this often at most: whoever sends forgeries
# must not make us write. What is counted after the last writing is lost with the process.
EVERY_SECONDS = 10.0


class Refusals:
    """What one process has refused and not yet written down."""

    def __init__(self) -> None:
        self._waiting: Counter[tuple[str, Cause]] = Counter()
        self._written: dict[tuple[str, Cause], float] = {}

    def tell(self, endpoint: str, refusal: Refusal, *, using: str) -> None:
        """Log it, and count it for staff unless anybody may have sent it. Never raises for the
        database's sake.
        """
        log.warning(
            "webhook refused", extra={"endpoint": endpoint, "reason": refusal.reason}
        )
        if refusal.cause is Cause.UNSIGNED:
            return
        key = (endpoint, refusal.cause)
        self._waiting[key] += 1
        now = time.monotonic()
        if now - self._written.get(key, float("-inf")) < EVERY_SECONDS:
            return
        self._written[key] = now
        try:
            times = self._waiting.pop(key, 0)
            WebhookRefusal.record(
                endpoint, refusal.cause, refusal.reason, times, using=using
            )
        except Error as error:
            log.warning(
                "a refused webhook was not counted",
                extra={"endpoint": endpoint, "error": type(error).__name__},
            )


refusals = Refusals()
