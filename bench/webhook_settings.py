"""The hub's own settings, with one more address for the benchmark."""

from __future__ import annotations

from mediahub.settings import *  # noqa: F403

ROOT_URLCONF = "bench.webhook_urls"
