"""No log of any process holds a query, a token or a full number, least of all while something is
down.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.flow.reader import Reader
from tests.flow.site import Column, running_site
from tests.waiting import until

CLIENT = (
    ("X-Twilio-Signature", "c2lnbmF0dXJl"),
    ("Content-Type", "application/x-www-form-urlencoded"),
)


def ask(column: Column, file_path: str) -> list[int]:
    """Everything that has a secret in it, asked for at the port of this column; how it was
    answered.
    """
    asked: list[tuple[str, str, tuple[tuple[str, str], ...]]] = [
        ("GET", file_path, ()),
        (
            "GET",
            file_path,
            (("Range", "bytes=0-9"), ("Referer", f"http://127.0.0.1{file_path}")),
        ),
        (
            "GET",
            "/webhooks/meta/?hub.mode=subscribe&hub.verify_token=guessed-token&hub.challenge=1",
            (),
        ),
        ("POST", "/webhooks/twilio/?secret=guessed-token", CLIENT),
        ("GET", "/nothing?q=%2B14335551212&token=guessed-token", ()),
    ]
    answers = []
    for method, path, headers in asked:
        with Reader(column.port) as reader:
            answers.append(reader.begin(method, path, headers).status)
    return answers


def leaks(directory: Path, secrets: set[str]) -> list[str]:
    """The lines of all logs below this folder that hold one of the secrets, or a query."""
    return [
        f"{log.name}: {line}"
        for log in sorted(directory.rglob("*.log"))
        # S3 servers of the tests, which write what they like.
        if log.name not in ("rclone.log", "moto.log")
        for line in log.read_text().splitlines()
        if "?" in line.replace("?[removed]", "")
        or any(secret in line for secret in secrets)
    ]


@pytest.mark.xdist_group("logs")
def test_an_outage_leaves_no_secret_in_any_log(tmp_path: Path) -> None:
    with running_site(tmp_path, waiting=1, waiting_empty=0) as site:
        bucket, folder = site.column("rclone-accel"), site.column("local-accel")
        photo = site.files["photo"]
        (token,) = parse_qs(urlsplit(photo.path).query)["token"]
        number = photo.key.partition(":+")[2].partition("/")[0]
        assert token and number.isdecimal()
        secrets = {token, number, "guessed-token", "14335551212", "X-Amz"}

        assert ask(bucket, photo.path)[:3] == [200, 206, 403]
        assert bucket.place.server is not None
        bucket.place.server.kill()
        assert 503 in ask(bucket, site.files["large"].path)
        ask(folder, site.waiting[0])
        site.redis.stop()
        ask(folder, photo.path)
        for column in (bucket, folder):
            column.hub.web.kill()
            assert set(ask(column, photo.path)) == {502}

        # nginx writes its access log once a second.
        said = bucket.hub.directory / "access.log"
        until(lambda: '"status":"502"' in said.read_text())
        assert leaks(tmp_path, secrets) == []
        for line in said.read_text().splitlines():
            assert json.loads(line)["path"].startswith("/")
        for line in bucket.hub.web.log.read_text().splitlines():
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
        lines = bucket.hub.web.log.read_text()
        assert (
            "nginx could not send" not in lines
            and "webhook refused" in lines
            and "handshake refused" in lines
        )
