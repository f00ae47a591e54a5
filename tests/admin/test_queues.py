from __future__ import annotations

import pickle

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django_rq.urls import get_admin_urlpatterns, get_api_urlpatterns
from pytest_django.fixtures import Settings
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from media_app import queues
from mediahub.settings import RQ_QUEUES
from tests.admin.conftest import Staff
from tests.admin.pages import page_of

ROOT = "/admin/django_rq/dashboard/"
# One value for each argument that an address of the dashboard may take.
ARGUMENTS = {
    "queue_index": 0,
    "job_id": "a-job",
    "result_id": "1-0",
    "key": "a-worker",
    "scheduler_index": 0,
    "connection_index": 0,
    "scheduler_name": "a-scheduler",
    "cron_job_name": "a/cron/job",
}
PATTERNS = [*get_api_urlpatterns("django_rq_"), *get_admin_urlpatterns("django_rq_")]


def address(name: str, arguments: set[str]) -> str:
    return reverse(
        f"admin:{name}",
        kwargs={argument: ARGUMENTS[argument] for argument in arguments},
    )


ADDRESSES = [
    (pattern.name or "", set(pattern.pattern.regex.groupindex) - {"token"})
    for pattern in PATTERNS
]


def test_every_address_of_the_dashboard_is_known_here() -> None:
    assert len(ADDRESSES) >= 25
    for name, arguments in ADDRESSES:
        try:
            assert address(name, arguments).startswith(ROOT)
        except NoReverseMatch:
            pytest.fail(f"no address for {name}")


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    ADDRESSES,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_staff_without_the_permission_are_refused(
    name: str, arguments: set[str], method: str, staff: Staff
) -> None:
    response = getattr(staff("media_app.view_media"), method)(
        address(name, arguments), HTTP_AUTHORIZATION="Bearer x"
    )
    assert response.status_code == 403


def test_with_the_permission_the_dashboard_opens_and_empties_queues(
    staff: Staff, redis: Redis
) -> None:
    assert queues.enqueue("inbox", "messages_app.jobs.drain", times=3)
    client = staff("django_rq.admin")
    for index in range(3):
        assert client.get(f"{ROOT}queues/{index}/").status_code == 200
        client.post(f"{ROOT}queues/{index}/empty/", {"post": "yes"})
    assert redis.llen("rq:queue:inbox") == 0


def test_a_superuser_may_see_the_dashboard(superuser: Client, redis: Redis) -> None:
    assert superuser.get(ROOT).status_code == 200
    assert superuser.get(f"{ROOT}stats.json").status_code == 200
    assert f'href="{ROOT}"' in page_of(superuser, "/admin/")


def test_the_dashboard_says_so_when_the_queue_is_down(superuser: Client) -> None:
    response = superuser.get(ROOT)
    assert response.status_code == 503
    assert response.content == b"The queue does not answer."


def test_the_anonymous_are_sent_to_the_login_page_or_need_the_token(
    client: Client, db: None, redis: Redis, settings: Settings
) -> None:
    settings.RQ_API_TOKEN = "the-token"
    assert client.get(ROOT).headers["Location"].startswith("/admin/login/")
    assert client.get(f"{ROOT}stats.json").status_code == 401
    assert (
        client.get(f"{ROOT}stats.json", HTTP_AUTHORIZATION="Bearer wrong").status_code
        == 401
    )
    assert (
        client.get(
            f"{ROOT}stats.json", HTTP_AUTHORIZATION="Bearer the-token"
        ).status_code
        == 200
    )


def test_who_is_logged_in_but_not_staff_is_refused(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("customer"))
    assert client.get(f"{ROOT}stats.json").status_code == 403
    assert client.post(f"{ROOT}queues/0/empty/").status_code == 403


def test_the_sidebar_names_the_queues_only_to_those_who_may_open_them(
    staff: Staff,
) -> None:
    assert ROOT not in page_of(staff("media_app.view_media"), "/admin/")
    assert ROOT in page_of(staff("django_rq.admin"), "/admin/")


class Pickled:
    """What a pickle does that somebody else has made."""

    ran = False

    def __reduce__(self) -> tuple[object, ...]:
        return setattr, (Pickled, "ran", True)


@pytest.mark.parametrize(
    "page",
    ["workers/1/rq:worker:forged/", "queues/1/failed/clear/", "queues/1/forged/"],
)
def test_a_page_unpickles_nothing_that_redis_holds(
    superuser: Client, redis: Redis, page: str
) -> None:
    Queue("ingest", connection=redis, serializer=JSONSerializer).create_job(
        "any", job_id="forged"
    ).save()
    redis.hset("rq:job:forged", "meta", pickle.dumps(Pickled()))
    redis.hset(
        "rq:worker:forged", mapping={"current_job": "forged", "queues": "ingest"}
    )
    for queue in RQ_QUEUES:
        redis.zadd(f"rq:failed:{queue}", {"forged": 9e9})
    superuser.raise_request_exception = Pickled.ran = False
    superuser.get(f"{ROOT}{page}")
    superuser.post(f"{ROOT}{page}", {"post": "yes"})
    assert not Pickled.ran
