"""The queue is flushed with all work in it."""

from __future__ import annotations

import time
from pathlib import Path

from redis import Redis

from simulator.burst import Burst
from simulator.posting import send
from tests.hubs import running_hub, stored
from tests.waiting import until

STORED_WITHIN = 120


def flushed_queue(directory: Path, *, photos: int, database: str = "sqlite") -> float:
    """Queue so many files while no worker fetches, FLUSHALL, let them work; the seconds until all
    are stored.
    """
    with (
        running_hub(directory, database=database) as hub,
        Redis.from_url(hub.env["REDIS_URL"]) as redis,
    ):
        hub.worker.stop()
        signed, _ = Burst(
            photos=photos // 10, senders=10, duplicates=1, public_url=hub.url
        ).build()
        assert {answer.status for answer in send(signed, hub.url)} == {200}
        hub.manage("sweep")
        until(lambda: redis.llen("rq:queue:ingest") == photos)
        redis.flushall()
        began = time.monotonic()
        hub.worker.start()
        until(lambda: stored(hub) == photos, seconds=STORED_WITHIN, every=0.2)
        return time.monotonic() - began
