"""Staff start the commands that do no harm, and see what became of each run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.functions import Now
from django.test import Client
from pytest_django.fixtures import Settings
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from media_app import command_jobs
from media_app.allowed_jobs import ForbiddenJobError
from media_app.models import CommandRun
from tests.admin.conftest import Staff
from tests.admin.pages import page_of
from tests.admin.rows import make_media
from tests.conftest import forget_connections

# A job closes its connection before it starts.
pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/media_app/commandrun/"


@pytest.fixture
def operator(staff: Staff) -> Client:
    return staff("media_app.view_commandrun", "media_app.change_commandrun")


def queued(redis: Redis) -> list[Job]:
    found: list[Job] = Queue(
        "commands", connection=redis, serializer=JSONSerializer
    ).jobs
    return found


def start(client: Client, command: str) -> str:
    return client.post(f"{LIST}start/{command}/", follow=True).content.decode()


def test_a_worker_runs_what_staff_start(operator: Client, redis: Redis) -> None:
    assert "check_storage starts as soon as" in start(operator, "check_storage")
    queued(redis)[0].perform()
    run = CommandRun.objects.get()
    assert (run.command, run.state, run.started_by) == (
        "check_storage",
        "done",
        "staff-0",
    )
    assert "carries this installation&#x27;s marker" in page_of(operator, run)
    assert LogEntry.objects.get().get_change_message() == "Start check_storage"


@pytest.mark.parametrize(
    "command", ["media_stats", "reconcile_media", "backfill_media"]
)
def test_each_command_on_offer_runs(command: str, settings: Settings) -> None:
    assert command in settings.STAFF_COMMANDS
    make_media(b"a photo")
    command_jobs.run(command, "vera")
    assert CommandRun.objects.get().started_by == "vera"


def test_no_key_is_kept_of_a_run() -> None:
    make_media(state="stored")
    command_jobs.run("reconcile_media", "vera")
    assert CommandRun.objects.get().lines == ""


def test_what_deletes_is_not_on_offer(operator: Client, redis: Redis) -> None:
    url = f"{LIST}start/erase_contact/"
    assert operator.post(url).status_code == 404
    with pytest.raises(ForbiddenJobError):
        command_jobs.run("erase_contact", "vera")
    assert not queued(redis)


def test_only_who_may_change_runs_starts_one(
    staff: Staff, operator: Client, redis: Redis
) -> None:
    looker = staff("media_app.view_commandrun")
    url = f"{LIST}start/check_storage/"
    assert looker.post(url).status_code == 403
    assert operator.get(url).status_code == 405
    assert url in page_of(operator, LIST)
    assert url not in page_of(looker, LIST)
    assert not queued(redis)


def test_a_command_that_runs_is_not_started_again(
    operator: Client, redis: Redis
) -> None:
    CommandRun.objects.begin("media_stats", started_by="x", arguments="")
    assert "media_stats runs already." in start(operator, "media_stats")
    assert not queued(redis)
    CommandRun.objects.update(lease_until=Now() - timedelta(seconds=1))
    start(operator, "media_stats")
    assert len(queued(redis)) == 1


def test_a_queue_that_is_down_is_said(operator: Client, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    forget_connections()
    assert "The queue is down" in start(operator, "media_stats")
    forget_connections()
