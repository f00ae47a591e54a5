"""A cleanup in a bucket, and beside workers that bring new files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from mypy_boto3_s3 import S3Client
from pytest_django.fixtures import Settings

from media_app.cleanup import planning, strays
from media_app.models import Media
from media_app.storage import media_storage
from mediahub.storages import s3_storage
from messages_app import inbox
from simulator.provider import SimulatedProvider
from tests.faults.crash import album, photo, recover
from tests.messages.cleanup.runs import ORPHAN, applied, cleanup, plan
from tests.messages.mail import arrive
from tests.servers import S3_KEY_ID, S3_SECRET
from tests.storage.buckets import keys, put

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def at_first_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has to be seen for a day."""
    for module in (planning, strays):
        monkeypatch.setattr(module, "STRAY_AGE", timedelta(days=-1))


def test_files_that_come_meanwhile_are_left_alone(provider: SimulatedProvider) -> None:
    arrive(album(photo(1)))
    inbox.drain()
    recover()

    def bring() -> None:
        try:
            for number in range(2, 8):
                arrive(album(photo(number), photo(number + 10)))
                inbox.drain()
                recover()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(bring)
        while not work.done():
            if plan():
                applied()
        work.result()
    stored = Media.objects.filter(state=Media.State.STORED)
    assert {*stored.values_list("key", flat=True)} == {*keys(media_storage())}
    assert stored.count() == 13


def test_a_bucket_is_cleaned_up(
    provider: SimulatedProvider, moto_client: S3Client, settings: Settings
) -> None:
    name = "cleaned-up"
    moto_client.create_bucket(Bucket=name)
    bucket = s3_storage(
        bucket=name,
        key_id=S3_KEY_ID,
        secret=S3_SECRET,
        region="us-east-1",
        endpoint=moto_client.meta.endpoint_url,
    )
    settings.STORAGES = {**settings.STORAGES, "media": bucket}
    arrive(album(photo(1), photo(2)))
    inbox.drain()
    recover()
    put(media_storage(), ORPHAN)
    upload: Any = moto_client.create_multipart_upload
    upload(Bucket=name, Key=ORPHAN)
    upload(Bucket=name, Key="backup.tar")
    kinds = sorted(line["kind"] for line in cleanup("--plan", "plan") if "kind" in line)
    assert kinds == ["leftover", "orphan"]
    assert set(applied().values()) == {"deleted"}
    assert {*keys(media_storage())} == {*Media.objects.values_list("key", flat=True)}
    left = [
        each["Key"]
        for each in moto_client.list_multipart_uploads(Bucket=name)["Uploads"]
    ]
    assert left == ["backup.tar"]
