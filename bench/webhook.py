"""The webhook beside a bare view: ``python -m bench.webhook``.

Both on one server and one database, 50 connections, in turns. Prints the rates of each
round and the median of their ratios; asserts nothing, because machines are noisy.
"""

from __future__ import annotations

import argparse
import hmac
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

from bench.load import post, run
from simulator.accounts import Accounts
from tests.hubs import running_hub

CONNECTIONS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--database", choices=("sqlite", "postgres"), action="append")
    options = parser.parse_args()
    for database in options.database or ("sqlite", "postgres"):
        env = {"DJANGO_SETTINGS_MODULE": "bench.webhook_settings"}
        with (
            tempfile.TemporaryDirectory() as directory,
            running_hub(Path(directory), database=database, env=env) as hub,
        ):
            # What is measured is the answer; the work behind it would share the processors.
            hub.worker.stop()
            hub.sweeper.stop()
            ratios = []
            for number in range(options.rounds + 1):
                rates = {
                    path: run(
                        hub.port,
                        _requests(path, f"{number}{path}"),
                        connections=CONNECTIONS,
                        seconds=options.seconds,
                    )
                    for path in ("/bare/", "/webhooks/meta/")
                }
                assert all(set(load.statuses) == {200} for load in rates.values()), (
                    rates
                )
                bare, ours = (load.rate for load in rates.values())
                if number:  # the first round warms up
                    ratios.append(ours / bare)
                    print(
                        f"{database:<8} bare {bare:>6.0f}/s  webhook {ours:>6.0f}/s  ratio "
                        f"{ours / bare:.2f}",
                        flush=True,
                    )
            print(
                f"{database:<8} median ratio {statistics.median(ratios):.2f} of "
                f"{len(ratios)} rounds"
            )


def _requests(path: str, run_name: str) -> Iterator[bytes]:
    """Signed deliveries, each with a body of its own, of about the size that Meta's have."""
    secret = Accounts().meta_app_secret.encode()
    padding = "x" * 900
    for number in count():
        text = f"{run_name} {time.time_ns()} {number} {padding}"
        body = json.dumps(
            {"object": "whatsapp_business_account", "entry": [], "text": text}
        ).encode()
        signature = hmac.new(secret, body, sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        yield post(path, headers, body)


if __name__ == "__main__":
    main()
