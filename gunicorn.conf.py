"""The web server. It listens on BIND:PORT, and writes its log as the hub's other processes do."""

from __future__ import annotations

import logging.config
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from gunicorn.glogging import Logger

# Gunicorn reads this before it knows where the project lies.
sys.path.insert(0, str(Path(__file__).resolve().parent))

try:
    from mediahub import databases, env, logs

    bind = [env.listening_address()]
    _level = env.log_level()
    databases.serve_pages()
    # A setting that can't work is named here, once: workers that all fail to start end gunicorn
    # with a traceback.
    import mediahub.settings  # noqa: F401
except ImproperlyConfigured as error:
    sys.exit(f"{error}")


class JsonLogger(Logger):
    """Gunicorn's own lines and its access log go to the hub's one handler."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)  # type: ignore[no-untyped-call]
        logging.config.dictConfig(logs.configuration(_level))
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


logger_class = JsonLogger
# For --access-logfile -. Without the query, which may hold a link's token.
access_log_format = "%(m)s %(U)s %(s)s %(B)s bytes in %(M)s ms"
# Nothing here is changed while it runs.
control_socket_disable = True
workers = 2
# Threads are for slow readers: each holds one for as long as its download takes, and readers are
# not spread evenly over the workers. A thread is started only when all others are busy. It is
# gunicorn's gthread, and slow senders take half of the threads at most.
worker_class = "mediahub.gunicorn_worker.Worker"
threads = 256
backlog = 4096
keepalive = 30
# A worker that hangs is replaced; its threads' downloads are renewed by Range.
timeout = 60
graceful_timeout = 30
