"""Report refused webhooks: in the log, and to staff by a row that counts them."""

from __future__ import annotations

import logging
import time
from collections import Counter

from django.db import Error

from messages_app.models import WebhookRefusal
from messages_app.providers.base import Cause, Refusal
from messages_app.timing import REFUSAL_WRITE_SECONDS

log = logging.getLogger(__name__)


class Refusals:
    """The refusals of one process that are not in the database yet.

    Each process writes the row of an endpoint and cause at most every REFUSAL_WRITE_SECONDS:
    forged requests must not cause many writes. Counts after the last write are lost with the
    process.
    """

    def __init__(self) -> None:
        self._waiting: Counter[tuple[str, Cause]] = Counter()
        self._written: dict[tuple[str, Cause], float] = {}

    def record(self, endpoint: str, refusal: Refusal, *, using: str) -> None:
        """Log it, and count it for staff unless it is unsigned: then anybody may have sent it.
        Raises no database error.
        """
        log.warning(
            "webhook refused", extra={"endpoint": endpoint, "reason": refusal.reason}
        )
        if refusal.cause is Cause.UNSIGNED:
            return
        key = (endpoint, refusal.cause)
        self._waiting[key] += 1
        now = time.monotonic()
        if now - self._written.get(key, float("-inf")) < REFUSAL_WRITE_SECONDS:
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
