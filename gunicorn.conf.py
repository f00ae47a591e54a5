"""The web server. It listens on $PORT."""

from __future__ import annotations

import os

bind = [f"{os.environ.get('HOST', '0.0.0.0')}:{os.environ.get('PORT', '8000')}"]  # noqa: S104
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Threads are for slow readers: each holds one for as long as its download takes.
worker_class = "gthread"
threads = 128
backlog = 4096
keepalive = 30
# A worker that hangs is replaced; its threads' downloads are renewed by Range.
timeout = 60
graceful_timeout = 30
