"""The hub's own settings, with two naive views for the benchmark."""

from __future__ import annotations

from mediahub.settings import *  # noqa: F403

ROOT_URLCONF = "bench.delivery_urls"
