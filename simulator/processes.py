"""Real servers as child processes: started, waited for, stopped, killed."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_SECONDS = 60.0
# Below those of outgoing connections: from 32768 on Linux, from 49152 elsewhere.
PORTS = range(15000, 32000)
_given: set[int] = set()


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on, and that this process was not given before.

    It is none of those that the kernel hands out by itself: a connection that anybody opens
    before the server starts could take such a port away.
    """
    while True:
        port = secrets.choice(PORTS)
        if port not in _given and is_free(port):
            _given.add(port)
            return port


def is_free(port: int) -> bool:
    """Whether 127.0.0.1:port can be listened on."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def accepts_connections(port: int) -> Callable[[], bool]:
    """A readiness test: does something listen on 127.0.0.1:port?"""

    def ready() -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=1),
        ):
            return True
        return False

    return ready


def answers(url: str) -> Callable[[], bool]:
    """A readiness test: does a GET of ``url`` get a 200?"""

    def ready() -> bool:
        # HTTPError, for any other answer, is an OSError too.
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return True
        return False

    return ready


class Process:
    """One child process in a process group of its own, its output in a log file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        ready: Callable[[], bool] = lambda: True,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.argv = [str(part) for part in argv]
        self.log = log
        self.env: dict[str, str] | None = None
        if env is not None:
            self.env = dict(env)
        self.cwd = cwd
        self.user = user
        self.ready = ready
        self.stop_signal = stop_signal
        self.popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self.popen is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.popen.pid

    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def start(self) -> None:
        """Start and wait until ready. Raises RuntimeError with the end of the log otherwise."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                cwd=self.cwd,
                user=self.user,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if not self.is_running() or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.name} did not start:\n{self.tail()}")
            time.sleep(0.02)

    def stop(self, seconds: float = 10.0) -> None:
        """Ask it to end, wait, and kill what is left of its group."""
        if self.popen is None:
            return
        if self.is_running():
            os.kill(self.pid, self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group: the process and all its children."""
        if self.popen is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def tail(self, lines: int = 30) -> str:
        if not self.log.exists():
            return ""
        written = self.log.read_text(errors="replace").splitlines()
        return "\n".join(written[-lines:])
