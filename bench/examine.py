"""Hold a burst against the hub of this environment: ``python -m bench.examine '{"photos": 5, …}'
--timeout 180``.

In a process of its own, because Django reads its settings only once. Prints JSON:
whether all came to an end, the table, and the problems.
"""

from __future__ import annotations

import argparse
import json

import django

from simulator.burst import Burst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("burst", help="the Burst's fields as JSON")
    parser.add_argument("--timeout", type=float, required=True, help="without progress")
    options = parser.parse_args()
    django.setup()
    from simulator.outcome import examine, wait_until_settled

    _, ledger = Burst(**json.loads(options.burst)).build()
    is_settled = wait_until_settled(ledger, timeout=options.timeout, restarts=True)
    print(json.dumps({"is_settled": is_settled}), flush=True)
    outcome = examine(ledger)
    print(json.dumps({"table": outcome.table(), "problems": outcome.problems}))


if __name__ == "__main__":
    main()
