"""The whole way on real parts: web, worker and sweeper processes, Redis's protocol, PostgreSQL, an
S3 server.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import ManagementUtility

from mediahub.env import BASE_DIR
from simulator.burst import Burst
from simulator.posting import send
from tests.flow.flush import flushed_queue
from tests.hubs import running_hub, simulate, stored
from tests.waiting import until


def test_every_kind_of_file_from_both_vendors_arrives_whole_in_a_bucket(
    tmp_path: Path,
) -> None:
    with running_hub(tmp_path, database="postgres", storage="rclone") as hub:
        found = simulate(
            hub,
            "--provider",
            "both",
            "--mix",
            "--photos",
            "3",
            "--senders",
            "4",
            "--duplicates",
            "2",
        )
        assert (
            found["verified"] == found["objects"] == found["announced"] == 4 * (3 + 4)
        )
        assert found["contacts"] == 4
        assert found["doubled"] == 0


def test_what_came_while_redis_was_down_is_stored_after_it_returns(
    tmp_path: Path,
) -> None:
    with running_hub(tmp_path, sweep_every=1) as hub:
        hub.redis.kill()
        signed, _ = Burst(photos=3, senders=2, duplicates=1, public_url=hub.url).build()
        answers = send(signed, hub.url, parallel=4)
        assert {answer.status for answer in answers} == {200}
        # As long as the providers wait.
        assert max(answer.seconds for answer in answers) < 10
        assert stored(hub) == 0
        hub.redis.start()
        until(lambda: stored(hub) == 6)


def test_a_killed_worker_and_its_children_lose_nothing(tmp_path: Path) -> None:
    with running_hub(tmp_path, sweep_every=1) as hub:
        signed, _ = Burst(
            photos=10, senders=5, duplicates=1, public_url=hub.url
        ).build()
        assert {answer.status for answer in send(signed, hub.url)} == {200}
        until(lambda: stored(hub) > 0)
        hub.worker.kill()
        hub.worker.start()
        until(lambda: stored(hub) == 50)


def test_a_flushed_queue_is_filled_again_by_itself(tmp_path: Path) -> None:
    flushed_queue(tmp_path, photos=50)


@pytest.mark.parametrize("command", ["sweep", "worker", "replay_deliveries"])
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ManagementUtility(["manage.py", command, "--help"]).execute()
    assert f"python manage.py {command}" in capsys.readouterr().out


def test_settings_that_are_missing_are_named_in_one_line(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "sweep"],
        cwd=tmp_path,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 1
    assert "SECRET_KEY" in shown.stderr
    assert "Traceback" not in shown.stderr
