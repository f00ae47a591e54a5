"""The business's own system: takes submitted sessions in, and remembers each as it came."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from simulator.listener import Listener, Request, Response, json_response
from simulator.processes import free_port


@dataclass(frozen=True, slots=True)
class HandOver:
    """One POST."""

    key: str
    is_genuine: bool
    summary: dict[str, Any]


class Shop:
    """A server on 127.0.0.1. ``answer`` is the status that it gives; a shop that is ``down`` gives
    503.
    """

    def __init__(self, *, secret: str = "simulated-shop-secret") -> None:
        self.secret = secret
        self.down = False
        self.received: list[HandOver] = []
        self.port = free_port()
        self._lock = threading.Lock()
        self._listener = Listener(self.port, self._answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/sessions"

    @property
    def env(self) -> dict[str, str]:
        """What a hub must know of it."""
        return {"SESSION_WEBHOOK_URL": self.url, "SESSION_WEBHOOK_SECRET": self.secret}

    def of(self, number: str) -> list[HandOver]:
        """What was handed over of this customer, in order."""
        with self._lock:
            return [
                each
                for each in self.received
                if f"whatsapp:{number}" in each.summary["contact"]["owners"]
            ]

    def _answer(self, request: Request) -> Response:
        if self.down:
            return json_response(503, {"error": "closed"})
        signed = (
            f"{request.headers.get('X-Mediahub-Timestamp', '')}.".encode()
            + request.body
        )
        digest = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        is_genuine = hmac.compare_digest(
            request.headers.get("X-Mediahub-Signature", ""), f"sha256={digest}"
        )
        with self._lock:
            self.received.append(
                HandOver(
                    request.headers.get("Idempotency-Key", ""),
                    is_genuine,
                    json.loads(request.body),
                )
            )
        return json_response(200, {"ok": True})

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.stop()
