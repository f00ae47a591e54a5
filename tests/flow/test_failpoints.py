"""Real processes of a whole hub die in the middle of their work, and nobody but their supervisors
does anything.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hubs import running_hub, simulate


@pytest.mark.parametrize(
    ("point", "victim", "obituary"),
    [
        ("ingest_after_put", "worker", "a worker died"),
        ("webhook_after_commit", "web", "SIGKILL"),
    ],
)
def test_a_process_that_is_killed_in_the_middle_is_replaced_and_nothing_is_lost_or_doubled(
    tmp_path: Path, point: str, victim: str, obituary: str
) -> None:
    died = tmp_path / "died"
    env = {"FAILPOINT": f"{point}:3", "FAILPOINT_ONCE": str(died)}
    with running_hub(tmp_path, env=env, sweep_every=1) as hub:
        found = simulate(
            hub, "--photos", "5", "--senders", "4", "--duplicates", "2", "--redeliver"
        )
        supervisor = hub.worker if victim == "worker" else hub.web
        assert died.exists()
        assert obituary in supervisor.tail(1000)
        assert all(process.is_running() for process in hub.processes)
    assert found["verified"] == found["objects"] == found["announced"] == 20
    assert (found["doubled"], found["contacts"]) == (0, 4)
