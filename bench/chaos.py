"""The whole system under a nemesis: ``python -m bench.chaos --photos 10000 --kills 20 --seed 1``.

Web ×2, workers ×2, sweeper, Redis's protocol, PostgreSQL, an S3 server and the providers,
all real processes. While a seeded burst is posted (a refused delivery is sent again, as
vendors do), one process after another is killed with SIGKILL and started again. In the
end the ledger of acknowledged deliveries is held against rows, objects and every
object's SHA-256. Exits 1 when anything was lost or doubled, or the work stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from mediahub.env import BASE_DIR
from simulator.burst import Burst
from simulator.deliveries import SignedRequest
from simulator.hub import Hub
from simulator.posting import Answer, send
from simulator.processes import Process, accepts_connections, free_port
from tests.servers import S3_KEY_ID, S3_SECRET, postgres_server, rclone_server

# So many seconds without a photo being stored, and the work has stopped.
STALLED_AFTER = 180
DUPLICATES = 0.15


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=300, help="in all (300)")
    parser.add_argument("--senders", type=int, help="(a fiftieth of the photos)")
    parser.add_argument(
        "--kills", type=int, default=2, help="of each of the seven kinds, at least (2)"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    senders = options.senders or max(options.photos // 50, 4)
    with (
        tempfile.TemporaryDirectory() as directory,
        running_system(Path(directory)) as system,
    ):
        return torment(
            system,
            photos=options.photos // senders,
            senders=senders,
            kills=options.kills,
            seed=options.seed,
        )


class System:
    """All processes, by kind."""

    def __init__(self, hub: Hub, kinds: Mapping[str, list[Process]]) -> None:
        self.hub = hub
        self.kinds = kinds


@contextmanager
def running_system(directory: Path) -> Iterator[System]:
    """Everything started, in a folder of its own."""
    with ExitStack() as stack:

        def started(process: Process) -> Process:
            stack.callback(process.stop)
            process.start()
            return process

        database_port, bucket_port, api_port, cdn_port = (free_port() for _ in range(4))
        postgres = started(postgres_server(directory, database_port))
        (directory / "buckets" / "media").mkdir(parents=True)
        bucket = started(rclone_server(directory, bucket_port, folders_seen_after="1h"))
        env = {
            "DATABASE_URL": f"postgres://postgres@127.0.0.1:{database_port}/postgres",
            "MEDIA_STORAGE_BACKEND": "s3",
            "AWS_S3_BUCKET": "media",
            "AWS_ACCESS_KEY_ID": S3_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": S3_SECRET,
            "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{bucket_port}",
            "LOG_LEVEL": "WARNING",
        }
        hub = Hub(
            directory / "hub",
            api_url=f"http://127.0.0.1:{api_port}",
            cdn_host=f"127.0.0.1:{cdn_port}",
            env=env,
            webs=2,
            workers=2,
            worker_options=("--ingest", "3"),
            sweep_every=5,
        )
        provider = started(
            Process(
                "provider",
                [
                    *(sys.executable, "-m", "simulator.provider"),
                    *("--port", str(api_port), "--cdn-port", str(cdn_port)),
                ],
                log=directory / "provider.log",
                env=hub.env,
                cwd=BASE_DIR,
                ready=accepts_connections(cdn_port),
            )
        )
        stack.enter_context(hub)
        yield System(
            hub,
            {
                "web": hub.webs,
                "worker": hub.workers,
                "sweeper": [hub.sweeper],
                "redis": [hub.redis],
                "postgres": [postgres],
                "s3": [bucket],
                "provider": [provider],
            },
        )


class Nemesis(threading.Thread):
    """Kills and restarts, in a seeded order, until each kind had its share and the burst is
    over.
    """

    def __init__(self, system: System, *, kills: int, seed: int) -> None:
        super().__init__(name="nemesis", daemon=True)
        self._system = system
        self._kills = kills
        self._random = Random(seed)
        self.burst_over = threading.Event()
        self.killed: Counter[str] = Counter()
        self.last_fault = time.monotonic()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while (
                not self.burst_over.is_set()
                or min(map(self.killed.__getitem__, self._system.kinds)) < self._kills
            ):
                for kind in self._random.sample(
                    list(self._system.kinds), len(self._system.kinds)
                ):
                    self._torment(kind)
        except Exception as error:
            self.failure = error

    def _torment(self, kind: str) -> None:
        process = self._random.choice(self._system.kinds[kind])
        process.kill()
        self.killed[kind] += 1
        time.sleep(self._random.uniform(0.05, 0.8))
        revive(process)
        self.last_fault = time.monotonic()
        time.sleep(self._random.uniform(0.2, 1.5))


def revive(process: Process) -> None:
    """Start it again; a server whose old children still hold a port or a lock gets a few tries."""
    for _ in range(5):
        with suppress(RuntimeError):
            process.start()
            return
    process.start()


def torment(system: System, *, photos: int, senders: int, kills: int, seed: int) -> int:
    """One run; 0 when nothing was lost or doubled, and all work was done."""
    hub = system.hub
    fields: dict[str, Any] = {
        "photos": photos,
        "senders": senders,
        "duplicates": 1,
        "provider": "both",
        "seed": seed,
        "start": int(time.time()),
        "public_url": hub.url,
        "api_url": hub.env["TWILIO_API_URL"],
    }
    signed, ledger = Burst(**fields).build()
    random = Random(seed)
    posted = signed + random.sample(signed, int(len(signed) * DUPLICATES))
    random.shuffle(posted)
    print(
        f"seed {seed}: {len(ledger.files)} photos of {senders} senders, {len(posted)} deliveries",
        flush=True,
    )
    began = time.monotonic()
    nemesis = Nemesis(system, kills=kills, seed=seed)
    nemesis.start()
    answers = _post(posted, hub.urls)
    nemesis.burst_over.set()
    nemesis.join()
    if nemesis.failure:
        raise nemesis.failure
    refused = sum(not answer.accepted for answer in answers)
    print(
        f"burst and faults: {time.monotonic() - began:.0f} s, {refused} deliveries never "
        "acknowledged"
    )
    print(
        "killed: "
        + ", ".join(f"{kind} {nemesis.killed[kind]}" for kind in system.kinds),
        flush=True,
    )
    return 1 if _examine(hub, fields, nemesis.last_fault) or refused else 0


def _post(posted: Sequence[SignedRequest], urls: Sequence[str]) -> list[Answer]:
    """Every delivery to one of the web servers, again and again until it is acknowledged."""
    with ThreadPoolExecutor(len(urls)) as pool:
        parts = [
            pool.submit(
                send,
                posted[number :: len(urls)],
                url,
                parallel=4,
                redeliver=True,
                tries=100,
            )
            for number, url in enumerate(urls)
        ]
        return [answer for part in parts for answer in part.result()]


def _examine(hub: Hub, fields: Mapping[str, Any], last_fault: float) -> bool:
    """Wait, compare, print; whether anything was lost, doubled or left undone."""
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bench.examine",
            json.dumps(fields),
            "--timeout",
            str(STALLED_AFTER),
        ],
        env={**hub.env, "DJANGO_SETTINGS_MODULE": "mediahub.settings"},
        cwd=BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
    ) as examiner:
        lines = iter(examiner.stdout or ())
        is_settled = json.loads(next(lines))["is_settled"]
        print(
            f"{'all settled' if is_settled else 'STALLED'} "
            f"{time.monotonic() - last_fault:.0f} s after the last fault"
        )
        found = json.loads(next(lines))
    print(found["table"])
    for problem in found["problems"][:20]:
        print(f"  {problem}")
    return bool(found["problems"]) or not is_settled


if __name__ == "__main__":
    sys.exit(main())
