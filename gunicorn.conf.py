"""The web server. It listens on $PORT."""

from __future__ import annotations

import sys
from pathlib import Path

# Gunicorn reads this before it knows where the project lies.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from mediahub import env

bind = [f"0.0.0.0:{env.number('PORT', 8000)}"]
workers = 2
# Threads are for slow readers: each holds one for as long as its download takes, and readers are not spread evenly
# over the workers. A thread is started only when all others are busy.
worker_class = "gthread"
threads = 256
backlog = 4096
keepalive = 30
# A worker that hangs is replaced; its threads' downloads are renewed by Range.
timeout = 60
graceful_timeout = 30
