"""The whole hub as it runs in production, in one folder on this machine: the Procfile's processes
and Redis.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mediahub.env import BASE_DIR
from simulator.accounts import Accounts
from simulator.processes import Process, answers, free_port
from simulator.redis_server import redis_server


class Hub:
    """Web, worker, sweeper and Redis as child processes; the provider stands apart and must be told
    of.

    ``webs`` servers of ``web_processes`` each on ports of their own, and ``workers`` supervisors.
    ``env`` overrides what the processes see; by default SQLite and local disk in ``directory``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        api_url: str,
        cdn_host: str,
        accounts: Accounts | None = None,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        webs: int = 1,
        web_processes: int = 2,
        workers: int = 1,
        worker_options: Sequence[str] = (),
        sweep_every: float = 20,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        ports = [port or free_port(), *(free_port() for _ in range(webs - 1))]
        self.port = ports[0]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.url = self.urls[0]
        redis_port = free_port()
        self.env = {
            **os.environ,
            **self._environment(accounts or Accounts(), redis_port),
            **_addresses(api_url, cdn_host),
            **(env or {}),
        }
        manage: list[str | Path] = [sys.executable, BASE_DIR / "manage.py"]
        self.redis = redis_server(directory / "redis", redis_port)
        serve = [
            sys.executable,
            "-m",
            "gunicorn",
            "mediahub.wsgi",
            "--workers",
            str(web_processes),
            "--bind",
        ]
        self.webs = [
            self._process(
                f"web-{port}",
                [*serve, f"127.0.0.1:{port}"],
                ready=answers(f"http://127.0.0.1:{port}/healthz"),
            )
            for port in ports
        ]
        self.workers = [
            self._process(f"worker-{number}", [*manage, "worker", *worker_options])
            for number in range(workers)
        ]
        self.sweeper = self._process(
            "sweeper", [*manage, "sweep", "--every", str(sweep_every)]
        )

    def _environment(self, accounts: Accounts, redis_port: int) -> dict[str, str]:
        return {
            "PORT": str(self.port),
            "SECRET_KEY": secrets.token_urlsafe(50),
            "DEBUG": "0",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "PUBLIC_URL": self.url,
            "DATABASE_URL": f"sqlite:///{self.directory / 'db.sqlite3'}",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "MEDIA_STORAGE_BACKEND": "local",
            "MEDIA_ROOT": str(self.directory / "media"),
            "META_APP_SECRET": accounts.meta_app_secret,
            "META_VERIFY_TOKEN": "simulated-verify-token",
            "META_ACCESS_TOKEN": accounts.meta_access_token,
            "TWILIO_ACCOUNT_SID": accounts.twilio_account_sid,
            "TWILIO_AUTH_TOKEN": accounts.twilio_auth_token,
            # Set, though empty: what an .env file says is for the real ones.
            "TWILIO_API_KEY": "",
            "TWILIO_API_SECRET": "",
        }

    @property
    def simulator_env(self) -> dict[str, str]:
        """For ``manage.py simulate``, which the hub's own settings do not have."""
        return {**self.env, "DJANGO_SETTINGS_MODULE": "simulator.settings"}

    @property
    def web(self) -> Process:
        return self.webs[0]

    @property
    def worker(self) -> Process:
        return self.workers[0]

    @property
    def processes(self) -> tuple[Process, ...]:
        return (self.redis, *self.webs, *self.workers, self.sweeper)

    def _process(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        ready: Callable[[], bool] = lambda: True,
    ) -> Process:
        log = self.directory / f"{name}.log"
        return Process(name, argv, log=log, env=self.env, cwd=BASE_DIR, ready=ready)

    def manage(self, *arguments: str, **env: str) -> str:
        """Run a management command in the hub's environment; returns what it printed. Raises
        CalledProcessError.
        """
        return subprocess.run(
            [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
            check=True,
            env={**self.env, **env},
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def start(self) -> None:
        """Prepare the database and start every process. Raises RuntimeError with the log of one
        that fails.
        """
        self.manage("migrate", "--noinput", "--verbosity", "0")
        for process in self.processes:
            process.start()

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _addresses(api_url: str, cdn_host: str) -> dict[str, str]:
    """Where a hub asks the providers."""
    return {
        "META_GRAPH_URL": api_url,
        "META_MEDIA_HOSTS": cdn_host,
        "TWILIO_API_URL": api_url,
        "TWILIO_MEDIA_HOSTS": cdn_host,
    }
