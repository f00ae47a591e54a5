"""The simulated vendors refuse, expire and forget as the real ones do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from simulator.accounts import Accounts
from simulator.content import Kind, content
from simulator.processes import Process, accepts_connections
from simulator.provider import SimulatedProvider
from tests.waiting import until

ACCOUNTS = Accounts()
BEARER = {"Authorization": f"Bearer {ACCOUNTS.meta_access_token}"}
PASSWORD = (ACCOUNTS.twilio_account_sid, ACCOUNTS.twilio_auth_token)
HOUR = 3600


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(accounts=ACCOUNTS) as provider:
        yield provider


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def resolve(
    http: requests.Session, provider: SimulatedProvider, media_id: str
) -> requests.Response:
    return http.get(f"{provider.api_url}/v25.0/{media_id}", headers=BEARER)


# --- Meta ---------------------------------------------------------------------


def test_a_link_dies_after_five_minutes(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    link = provider.meta_link(provider.media_id_for(Kind.PHOTO, 7))
    provider.clock_offset = 290
    assert http.get(link, headers=BEARER).status_code == 200
    provider.clock_offset = 302
    assert http.get(link, headers=BEARER).status_code == 404


def test_a_media_id_dies_after_seven_days(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    media_id = provider.media_id_for(Kind.PHOTO, 7)
    provider.clock_offset = 7 * 24 * HOUR - 10
    assert resolve(http, provider, media_id).status_code == 200
    provider.clock_offset = 7 * 24 * HOUR + 2
    answer = resolve(http, provider, media_id)
    assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (400, 33)


def buttons(*titles: str, text: str = "Add it?") -> dict[str, object]:
    """An interactive message with a button for each title."""
    replies = [
        {"type": "reply", "reply": {"id": str(place), "title": title}}
        for place, title in enumerate(titles)
    ]
    said = {"type": "button", "body": {"text": text}, "action": {"buttons": replies}}
    return {"type": "interactive", "interactive": said}


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ""},
        {"to": None, "recipient": "14335550001"},
        {"text": {"body": "x" * 4_097}},
        {"type": "poem"},
        buttons("Add", text="x" * 1_025),
        buttons("1", "2", "3", "4"),
        buttons("x" * 21),
        buttons("Add", "Add"),
    ],
)
def test_meta_refuses_a_message_that_it_would_not_send(
    provider: SimulatedProvider, http: requests.Session, changes: dict[str, object]
) -> None:
    said = {"to": "14335550001", "type": "text", "text": {"body": "Hi"}}
    body = {"messaging_product": "whatsapp", **said, **changes}
    url = f"{provider.api_url}/v25.0/{ACCOUNTS.meta_phone_number_id}/messages"
    answer = http.post(url, json=body, headers=BEARER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    assert not provider.sends


# --- Twilio -------------------------------------------------------------------


def test_a_password_sent_to_the_other_host_is_a_leak(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    url = provider.twilio_media_url(provider.media_id_for(Kind.VOICE, 7, "twilio"))
    location = http.get(url, auth=PASSWORD, allow_redirects=False).headers["Location"]
    assert http.get(location, auth=PASSWORD).status_code == 400
    assert provider.leaks == [location.removeprefix(provider.cdn_url)]
    assert not provider.downloads


def test_a_twilio_link_lives_four_hours_and_its_file_for_good(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    url = provider.twilio_media_url(provider.media_id_for(Kind.VOICE, 7, "twilio"))
    location = http.get(url, auth=PASSWORD, allow_redirects=False).headers["Location"]
    provider.clock_offset = 4 * HOUR + 2
    assert http.get(location).status_code == 404
    provider.clock_offset = 365 * 24 * HOUR
    assert http.get(url, auth=PASSWORD).content == content(Kind.VOICE, 7).body


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "+14335550001"}, 21910),
        ({"From": "whatsapp:14155238886"}, 21212),
        ({"From": "whatsapp:+14155550000"}, 63007),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1_601}, 21617),
        ({"StatusCallback": "/webhooks/twilio/status/"}, 21609),
    ],
)
def test_twilio_refuses_a_message_that_it_would_not_send(
    provider: SimulatedProvider,
    http: requests.Session,
    changes: dict[str, str],
    code: int,
) -> None:
    said = {"To": "whatsapp:+14335550001", "From": "whatsapp:+14155238886"}
    form = {**said, "Body": "x" * 1_600, **changes}
    url = f"{provider.api_url}/2010-04-01/Accounts/{ACCOUNTS.twilio_account_sid}/Messages.json"
    answer = http.post(url, data=form, auth=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not provider.sends


# --- drills -------------------------------------------------------------------


def test_a_provider_that_is_busy_says_until_when(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    media_id = provider.media_id_for(Kind.PHOTO, 7)
    provider.throttled_for = 20
    for answer in (
        resolve(http, provider, media_id),
        http.get(provider.meta_link(media_id), headers=BEARER),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")


def test_a_silent_provider_does_what_it_is_asked_and_answers_nobody(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    media_id = provider.media_id_for(Kind.PHOTO, 7)
    link = provider.meta_link(media_id)
    provider.silent = True
    with ThreadPoolExecutor() as pool:
        download = pool.submit(http.get, link, headers=BEARER)
        until(lambda: provider.downloads == {media_id: 1})
        provider.silent = False
        with pytest.raises(requests.ConnectionError):
            download.result()
    assert http.get(link, headers=BEARER).content == content(Kind.PHOTO, 7).body


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[SimulatedProvider, Process]]:
    """A provider in a process of its own, and its twin here that knows its ids and addresses."""
    twin = SimulatedProvider(accounts=ACCOUNTS)
    ports = ["--port", str(twin.port), "--cdn-port", str(twin.cdn_port)]
    process = Process(
        "provider",
        [sys.executable, "-m", "simulator.provider", *ports],
        log=tmp_path / "provider.log",
        env={
            "META_ACCESS_TOKEN": ACCOUNTS.meta_access_token,
            "META_APP_SECRET": ACCOUNTS.meta_app_secret,
        },
        ready=accepts_connections(twin.cdn_port),
    )
    process.start()
    yield twin, process
    process.stop()


def test_a_killed_process_still_knows_all_ids_and_links(
    process: tuple[SimulatedProvider, Process], http: requests.Session
) -> None:
    twin, killed = process
    answer = resolve(http, twin, twin.media_id_for(Kind.PHOTO, 7)).json()
    killed.restart()
    file = http.get(answer["url"], headers=BEARER)
    assert file.content == content(Kind.PHOTO, 7).body


def test_a_process_is_controlled_over_http(
    process: tuple[SimulatedProvider, Process], http: requests.Session
) -> None:
    twin, _ = process
    control, media_id = f"{twin.api_url}/simulator", twin.media_id_for(Kind.PHOTO, 7)
    http.post(control, json={"down": True})
    assert resolve(http, twin, media_id).status_code == 503
    http.post(control, json={"down": False, "unauthorised": True})
    assert resolve(http, twin, media_id).status_code == 401
    status = http.get(control).json()
    assert (status["simulator"], status["unauthorised_calls"]) == ("mediahub", 1)
