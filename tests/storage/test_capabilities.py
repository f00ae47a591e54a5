"""What a storage can do is tried on the real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from media_app.capabilities import buckets, check, contract, folders
from media_app.capabilities.remedies import REMEDIES
from media_app.models import CommandRun
from media_app.storage import DiskStorage, RefusedError, S3Storage, Storage
from media_app.storage.base import SCRATCH
from media_app.storage.s3.hidden import HiddenObjects
from tests.storage.buckets import put

pytestmark = pytest.mark.django_db

Verdicts = dict[str, str]
Change = Callable[[S3Storage], object]

CONTRACT = dict.fromkeys(
    [
        "marker",
        "write",
        "create_only",
        "overwrite",
        "range",
        "list",
        "metadata",
        "clock",
        "delete",
    ],
    "ok",
)
BUCKET = CONTRACT | dict.fromkeys(
    ["signed_link", "public", "lifecycle", "versioning", "multipart"], "ok"
)
# A test server's keys may do everything, and every page may read what it serves.
TEST_SERVER = {"permissions": "warning", "cors": "warning"}


def verdicts(storage: Storage) -> Verdicts:
    return {each.capability: str(each.verdict) for each in check(storage)}


def objects(storage: S3Storage) -> list[str]:
    """All keys, hidden ones too."""
    page = storage.client.list_objects_v2(Bucket=storage.bucket)
    return [found["Key"] for found in page.get("Contents", ())]


def scratch_of(storage: S3Storage) -> HiddenObjects:
    return HiddenObjects(storage.client, storage.bucket, f"{SCRATCH}/")


def test_a_folder_can_do_everything(disk: DiskStorage) -> None:
    found = verdicts(disk)
    # These depend on the machine.
    del found["room"], found["file_system"]
    assert found == CONTRACT | {"owner": "ok", "locks": "ok", "hosts": "ok"}


def test_a_strict_server_can_do_everything(moto: S3Storage) -> None:
    # moto lets everybody list.
    assert verdicts(moto) == BUCKET | TEST_SERVER | {"public": "failed"}


def test_rclone_replaces_what_is_there(rclone: S3Storage) -> None:
    assert verdicts(rclone) == BUCKET | TEST_SERVER | {"create_only": "warning"}


def test_nothing_stays_behind(bucket: S3Storage) -> None:
    put(scratch_of(bucket), "of/a-killed.run")
    assert [*bucket.list("")] == []
    verdicts(bucket)
    assert objects(bucket) == [".mediahub"]


def test_nothing_stays_in_a_folder(disk: DiskStorage) -> None:
    put(DiskStorage(disk.root / SCRATCH), "of/a-killed.run")
    verdicts(disk)
    assert {path.name for path in disk.root.iterdir()} == {
        ".mediahub",
        ".mediahub-hosts",
    }


def test_each_capability_has_a_remedy(
    disk: DiskStorage, moto: S3Storage, settings: Settings
) -> None:
    options = {"OPTIONS": {"bucket_name": moto.bucket}}
    settings.STORAGES = {**settings.STORAGES, "media": options}
    settings.R2_PUBLIC_BUCKET, settings.R2_PUBLIC_URL = "public", "http://127.0.0.1:1"
    tried = {
        "marker",
        *contract.attempts(disk),
        *folders.attempts(disk),
        *buckets.attempts(scratch_of(moto)),
    }
    assert tried == REMEDIES.keys()


# --- what may be wrong ----------------------------------------------------------------


def nothing(*args: object, **kwargs: object) -> None:
    pass


def refuse(*args: object, **kwargs: object) -> None:
    raise RefusedError("put", "AccessDenied", 403)


@pytest.mark.parametrize(
    ("method", "broken", "capability"),
    [
        ("put", refuse, "write"),
        (
            "put",
            lambda put: lambda *args, **words: put(*args, **(words | {"replace": 1})),
            "create_only",
        ),
        (
            "open_range",
            lambda open_range: lambda self, key, *part: open_range(self, key),
            "range",
        ),
        ("list", lambda list_: lambda self, prefix: list_(self, ""), "list"),
        ("head", nothing, "metadata"),
        ("delete", nothing, "delete"),
    ],
)
def test_what_is_broken_is_not_ok(
    method: str,
    broken: Callable[..., Any],
    capability: str,
    disk: DiskStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if broken not in (nothing, refuse):
        broken = broken(getattr(DiskStorage, method))
    monkeypatch.setattr(DiskStorage, method, broken)
    assert verdicts(disk)[capability] != "ok"


def test_locks_that_keep_nobody_out_are_noticed(
    disk: DiskStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", nothing)
    assert verdicts(disk)["locks"] == "failed"


def test_a_folder_that_all_may_enter_is_noticed(disk: DiskStorage) -> None:
    disk.root.chmod(0o755)
    assert verdicts(disk)["owner"] == "warning"


def expire_all(storage: S3Storage) -> None:
    rule: Any = {"Status": "Enabled", "Expiration": {"Days": 30}, "Filter": {}}
    storage.client.put_bucket_lifecycle_configuration(
        Bucket=storage.bucket, LifecycleConfiguration={"Rules": [rule]}
    )


def keep_versions(storage: S3Storage) -> None:
    storage.client.put_bucket_versioning(
        Bucket=storage.bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def leave_an_upload(storage: S3Storage) -> None:
    storage.client.create_multipart_upload(Bucket=storage.bucket, Key="half")


def let_all_read(storage: S3Storage, bucket: str, effect: str = "Allow") -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": effect,
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        },
    }
    storage.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


@pytest.mark.parametrize(
    ("change", "capability", "verdict"),
    [
        (expire_all, "lifecycle", "failed"),
        (keep_versions, "versioning", "warning"),
        (leave_an_upload, "multipart", "warning"),
    ],
)
def test_what_may_go_wrong_in_a_bucket_is_said(
    change: Change,
    capability: str,
    verdict: str,
    moto: S3Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "_OLD_UPLOAD", timedelta(minutes=-10))
    change(moto)
    found = buckets.attempts(scratch_of(moto))[capability]()
    assert found.verdict == verdict


def test_a_bucket_that_everybody_may_read_is_noticed(moto: S3Storage) -> None:
    public = buckets.attempts(scratch_of(moto))["public"]
    assert "read" not in public().text
    let_all_read(moto, moto.bucket)
    assert public().text == "Everybody can read the files, without a signature."


@pytest.mark.parametrize(
    ("delivery", "verdict"), [("stream", "warning"), ("redirect", "failed")]
)
def test_a_link_without_the_name_matters_where_viewers_get_it(
    delivery: str,
    verdict: str,
    moto: S3Storage,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.MEDIA_DELIVERY = delivery
    signed = HiddenObjects.url
    monkeypatch.setattr(
        HiddenObjects, "url", lambda self, key, *_, **words: signed(self, key, 60)
    )
    found = buckets.attempts(scratch_of(moto))["signed_link"]()
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        # moto lets everybody list.
        ("Allow", "Everybody can list the public copies."),
        ("Deny", "R2_PUBLIC_URL does not have the copy (403)."),
    ],
)
def test_public_copies_are_read_at_their_address(
    effect: str, text: str, moto: S3Storage, settings: Settings
) -> None:
    options = {"OPTIONS": {"bucket_name": moto.bucket}}
    settings.STORAGES = {**settings.STORAGES, "media": options}
    settings.R2_PUBLIC_BUCKET = name = f"{moto.bucket}-public"
    settings.R2_PUBLIC_URL = f"{moto.client.meta.endpoint_url}/{name}"
    moto.client.create_bucket(Bucket=name)
    let_all_read(moto, name, effect)
    found = buckets.attempts(scratch_of(moto))["public_copies"]()
    assert (found.verdict, found.text) == ("failed", text)
    assert objects(S3Storage(moto.client, name)) == []


# --- the rules, without a storage -----------------------------------------------------

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("storage", "host", "verdict"),
    [
        (0, 0, "ok"),
        (-20, 20, "ok"),
        (-60, 0, "warning"),
        (0, 60, "warning"),
        (0, 365 * 24 * 3600, "failed"),
        (3600, 60, "failed"),
    ],
)
def test_clocks_that_differ_are_noticed(storage: int, host: int, verdict: str) -> None:
    answer = contract.compared(
        NOON,
        NOON + timedelta(seconds=5),
        storage=NOON + timedelta(seconds=storage),
        host=NOON + timedelta(seconds=host),
    )
    assert answer.verdict == verdict


GIB = 1024**3


@pytest.mark.parametrize(
    ("free", "free_inodes", "inodes", "verdict"),
    [
        (100 * GIB, 10**6, 10**7, "ok"),
        (100 * GIB, 0, 0, "ok"),
        (100 * GIB, 500, 10**7, "warning"),
        (100 * GIB, 0, 10**7, "failed"),
        (GIB, 10**6, 10**7, "warning"),
        (GIB // 20, 10**6, 10**7, "failed"),
    ],
)
def test_room_is_counted_in_files(
    free: int, free_inodes: int, inodes: int, verdict: str
) -> None:
    assert folders.enough(free, free_inodes, inodes).verdict == verdict


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/media", "ext4"),
        ("/srv/media on nfs/x", "nfs4"),
        ("/srv/media/upper", "tmpfs"),
        ("/home", "xfs"),
    ],
)
def test_the_innermost_mount_counts(path: str, kind: str, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        r"""21 1 8:1 / / rw - xfs /dev/sda1 rw
22 21 8:2 / /srv rw,noatime shared:1 - ext4 /dev/sda2 rw
23 22 0:40 / /srv/media\040on\040nfs rw - nfs4 host:/x rw
24 22 0:41 / /srv/media/upper rw - ext4 none rw
25 22 0:42 / /srv/media/upper rw - tmpfs none rw
"""
    )
    assert folders.file_system_of(Path(path), table) == kind


@pytest.mark.parametrize(
    ("working", "written", "verdict"),
    [
        ([], ["a"], "ok"),
        (["a"], ["a"], "ok"),
        (["a", "b"], ["a", "b"], "ok"),
        (["a", "b"], ["a"], "failed"),
    ],
)
def test_what_other_hosts_wrote_must_be_seen(
    working: list[str], written: list[str], verdict: str
) -> None:
    assert folders.shared("a", working=working, written=written).verdict == verdict


@pytest.mark.parametrize(
    ("rule", "deletes"),
    [
        ({"Expiration": {"Days": 1}}, True),
        ({"Expiration": {"Days": 1}, "Filter": {"Prefix": "whats"}}, True),
        ({"Expiration": {"Days": 1}, "Filter": {"Prefix": "previews/sms:"}}, True),
        ({"Expiration": {"Days": 1}, "Filter": {"And": {"Prefix": "logs/"}}}, False),
        ({"Expiration": {"Days": 1}, "Prefix": "logs/"}, False),
        ({"Expiration": {"Days": 1}, "Status": "Disabled"}, False),
        ({"Expiration": {"ExpiredObjectDeleteMarker": True}}, False),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}, False),
    ],
)
def test_rules_that_delete_files_are_told_apart(rule: Any, deletes: bool) -> None:
    whole: Any = {"Status": "Enabled"} | rule
    assert buckets.deletes_files([whole]) == deletes


# --- the command ----------------------------------------------------------------------


@pytest.mark.both_databases
def test_the_command_tells_each_verdict(media_root: Path) -> None:
    out = StringIO()
    call_command("check_storage", "--json", stdout=out)
    *lines, summary = map(json.loads, out.getvalue().splitlines())
    assert lines[0] == {
        "capability": "marker",
        "verdict": "ok",
        "text": "The storage carries this installation's marker.",
        "remedy": "",
    }
    assert sum(summary["counts"].values()) == len(lines)
    assert CommandRun.objects.get().lines.startswith("ok       marker")


def test_a_failure_exits_3_and_has_a_remedy(
    media_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiskStorage, "delete", nothing)
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("check_storage", stdout=out)
    assert error.value.returncode == 3
    assert f"→ {REMEDIES['delete']}" in out.getvalue()


def test_nothing_is_put_into_a_foreign_storage(media_root: Path) -> None:
    DiskStorage(media_root).write_marker("another installation")
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("check_storage", stdout=out)
    assert error.value.returncode == 4
    assert out.getvalue().startswith("failed   marker")
    assert [path.name for path in media_root.iterdir()] == [".mediahub"]
