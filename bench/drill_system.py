"""All that runs in a drill, and its outages."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import django

from bench.chaos import revive
from bench.wrong_clock import set_clock
from simulator.hub import Hub
from simulator.processes import Process
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from tests.hubs import bucket, postgres

CLOCK_ERROR = -600


@dataclass(frozen=True)
class System:
    """All that runs, and the servers that can be taken away."""

    hub: Hub
    provider: SimulatedProvider
    shop: Shop
    postgres: Process
    bucket: Process


@contextmanager
def running_system(directory: Path) -> Iterator[System]:
    """Everything started, in a folder of its own. From then on Django here has the hub's
    database.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        database, database_env = stack.enter_context(postgres(directory))
        objects, bucket_env = stack.enter_context(bucket(directory))
        provider = stack.enter_context(SimulatedProvider())
        shop = stack.enter_context(Shop())
        hub = Hub(
            directory / "hub",
            api_url=provider.api_url,
            cdn_host=provider.cdn_host,
            env={**database_env, **bucket_env, **shop.env, "LOG_LEVEL": "WARNING"},
            webs=2,
            workers=2,
            worker_options=("--ingest", "3"),
            sweep_every=5,
        )
        set_clock(hub.workers[1], CLOCK_ERROR)
        stack.enter_context(hub)
        os.environ.update(hub.env)
        os.environ["DJANGO_SETTINGS_MODULE"] = "mediahub.settings"
        django.setup()
        # Connections that die with PostgreSQL are no news here.
        logging.getLogger("psycopg").setLevel(logging.ERROR)
        yield System(hub, provider, shop, database, objects)


def outages(
    system: System, seconds: float
) -> list[tuple[str, AbstractContextManager[None]]]:
    """Each by its name; it lasts as long as its ``with`` block."""
    provider = system.provider
    retry_after = max(1, round(seconds / 3))
    return [
        ("provider: 401", _switched(provider, "unauthorised", True)),
        ("provider: 429", _switched(provider, "throttled_for", retry_after)),
        ("provider: 503", _switched(provider, "down", True)),
        ("provider: silence", _switched(provider, "silent", True)),
        ("Redis away", _away(system.hub.redis)),
        ("PostgreSQL away", _away(system.postgres)),
        ("bucket away", _away(system.bucket)),
    ]


@contextmanager
def _switched(
    provider: SimulatedProvider, switch: str, value: object
) -> Iterator[None]:
    before = getattr(provider, switch)
    setattr(provider, switch, value)
    yield
    setattr(provider, switch, before)


@contextmanager
def _away(process: Process) -> Iterator[None]:
    process.kill()
    yield
    revive(process)
