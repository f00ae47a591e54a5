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
from simulator.processes import Process, accepts_connections, free_port
from simulator.provider import SimulatedProvider
from tests.waiting import until

ACCOUNTS = Accounts(twilio_api_key="SKkey", twilio_api_secret="key secret")
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


@pytest.mark.parametrize("kind", [Kind.PHOTO, Kind.DOCUMENT])
def test_a_media_id_leads_to_a_link_and_the_link_to_the_file(
    provider: SimulatedProvider, http: requests.Session, kind: Kind
) -> None:
    media_id = provider.media_id_for(kind, 7)
    answer = resolve(http, provider, media_id).json()
    file = http.get(answer["url"], headers=BEARER)
    assert file.content == content(kind, 7).body
    assert (
        file.headers["Content-Type"]
        == answer["mime_type"]
        == content(kind, 7).content_type
    )
    assert (answer["id"], answer["sha256"]) == (media_id, content(kind, 7).sha256)
    assert (
        file.headers["Content-Length"]
        == str(answer["file_size"])
        == str(content(kind, 7).size)
    )
    assert provider.downloads == {media_id: 1}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer other"}])
def test_the_graph_api_wants_the_token(
    provider: SimulatedProvider, http: requests.Session, headers: dict[str, str]
) -> None:
    media_id = provider.media_id_for(Kind.PHOTO, 7)
    answer = http.get(f"{provider.api_url}/v25.0/{media_id}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 190)
    assert provider.unauthorised_calls == 1


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
    assert answer.status_code == 400
    assert (
        answer.json()["error"]["code"],
        answer.json()["error"]["error_subcode"],
    ) == (100, 33)


def test_an_id_can_be_gone_before_its_time(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    media_id = provider.media_id_for(Kind.PHOTO, 7)
    provider.expired.add(media_id)
    assert resolve(http, provider, media_id).json()["error"]["error_subcode"] == 33


def test_meta_accepts_a_message_and_remembers_it(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    body = {
        "messaging_product": "whatsapp",
        "to": "14335550001",
        "type": "text",
        "text": {"body": "Hello"},
    }
    url = f"{provider.api_url}/v25.0/{ACCOUNTS.meta_phone_number_id}/messages"
    answer = http.post(url, json=body, headers=BEARER).json()
    (send,) = provider.sends
    assert answer["messages"] == [{"id": send.provider_message_id}]
    assert (send.provider, send.to, send.body) == ("meta", "14335550001", body)


BUTTON = {"type": "reply", "reply": {"id": "a", "title": "Add"}}


def interactive(text: str = "Add it?", *buttons: object) -> dict[str, object]:
    said = {
        "type": "button",
        "body": {"text": text},
        "action": {"buttons": list(buttons or [BUTTON])},
    }
    return {"type": "interactive", "interactive": said}


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ""},
        {"to": None, "recipient": "14335550001"},
        {"text": {"body": "x" * 4_097}},
        {"type": "poem"},
        interactive("x" * 1_025),
        interactive(
            "Add it?",
            *(
                {"type": "reply", "reply": {"id": str(n), "title": str(n)}}
                for n in range(4)
            ),
        ),
        interactive(
            "Add it?", {"type": "reply", "reply": {"id": "a", "title": "x" * 21}}
        ),
        interactive(
            "Add it?", BUTTON, {"type": "reply", "reply": {"id": "b", "title": "Add"}}
        ),
    ],
)
def test_meta_refuses_a_message_that_it_would_not_send(
    provider: SimulatedProvider, http: requests.Session, changes: dict[str, object]
) -> None:
    body = {
        "messaging_product": "whatsapp",
        "to": "14335550001",
        "type": "text",
        "text": {"body": "Hi"},
        **changes,
    }
    url = f"{provider.api_url}/v25.0/{ACCOUNTS.meta_phone_number_id}/messages"
    answer = http.post(url, json=body, headers=BEARER)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    assert not provider.sends


@pytest.mark.parametrize(
    "changes",
    [{}, {"to": None, "recipient": "US.4815162342"}, interactive("x" * 1_024)],
)
def test_meta_takes_a_message_as_its_pages_describe_it(
    provider: SimulatedProvider, http: requests.Session, changes: dict[str, object]
) -> None:
    text = {"body": "x" * 4_096}
    body = {
        "messaging_product": "whatsapp",
        "to": "14335550001",
        "type": "text",
        "text": text,
        **changes,
    }
    url = f"{provider.api_url}/v25.0/{ACCOUNTS.meta_phone_number_id}/messages"
    assert http.post(url, json=body, headers=BEARER).status_code == 200
    assert len(provider.sends) == 1


# --- Twilio -------------------------------------------------------------------


def test_a_twilio_url_redirects_to_the_file_on_another_host(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    media_id = provider.media_id_for(Kind.VOICE, 7, "twilio")
    answer = http.get(
        provider.twilio_media_url(media_id), auth=PASSWORD, allow_redirects=False
    )
    assert answer.status_code == 307
    assert answer.headers["Location"].startswith(provider.cdn_url)
    assert http.get(answer.headers["Location"]).content == content(Kind.VOICE, 7).body
    assert provider.downloads == {media_id: 1}


def test_twilio_takes_an_api_key_with_its_own_secret_only(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    url = provider.twilio_media_url(provider.media_id_for(Kind.VOICE, 7, "twilio"))
    assert (
        http.get(url, auth=("SKkey", "key secret"), allow_redirects=False).status_code
        == 307
    )
    assert (
        http.get(
            url, auth=("SKkey", ACCOUNTS.twilio_auth_token), allow_redirects=False
        ).status_code
        == 401
    )


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


def test_twilio_knows_no_foreign_account(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    url = provider.twilio_media_url(provider.media_id_for(Kind.VOICE, 7, "twilio"))
    foreign = url.replace(ACCOUNTS.twilio_account_sid, "AC" + "f" * 32)
    assert http.get(foreign, auth=PASSWORD).status_code == 404


def test_twilio_accepts_a_message_and_remembers_it(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    form = {
        "To": "whatsapp:+14335550001",
        "From": "whatsapp:+14155238886",
        "Body": "Hello",
    }
    url = f"{provider.api_url}/2010-04-01/Accounts/{ACCOUNTS.twilio_account_sid}/Messages.json"
    answer = http.post(url, data=form, auth=PASSWORD)
    (send,) = provider.sends
    assert (answer.status_code, answer.json()["sid"]) == (201, send.provider_message_id)
    assert (send.provider, send.to, send.body) == (
        "twilio",
        "whatsapp:+14335550001",
        form,
    )


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
    form = {
        "To": "whatsapp:+14335550001",
        "From": "whatsapp:+14155238886",
        "Body": "x" * 1_600,
        **changes,
    }
    url = f"{provider.api_url}/2010-04-01/Accounts/{ACCOUNTS.twilio_account_sid}/Messages.json"
    answer = http.post(url, data=form, auth=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not provider.sends


# --- drills -------------------------------------------------------------------


def test_a_provider_that_is_down_answers_503_on_both_hosts(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    media_id = provider.media_id_for(Kind.PHOTO, 7)
    provider.down = True
    assert resolve(http, provider, media_id).status_code == 503
    assert http.get(provider.meta_link(media_id), headers=BEARER).status_code == 503


def test_a_provider_can_refuse_all_credentials(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    provider.unauthorised = True
    assert (
        resolve(http, provider, provider.media_id_for(Kind.PHOTO, 7)).status_code == 401
    )
    url = provider.twilio_media_url(provider.media_id_for(Kind.VOICE, 7, "twilio"))
    assert http.get(url, auth=PASSWORD).status_code == 401


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


def test_a_stopped_provider_drops_connections_that_are_open(
    provider: SimulatedProvider, http: requests.Session
) -> None:
    media_id = provider.media_id_for(Kind.PHOTO, 7)
    assert resolve(http, provider, media_id).status_code == 200
    provider.stop()
    with pytest.raises(requests.ConnectionError):
        resolve(http, provider, media_id)
    provider.start()
    assert resolve(http, provider, media_id).status_code == 200


def test_a_killed_process_still_knows_all_ids_and_links_afterwards(
    tmp_path: Path, http: requests.Session
) -> None:
    planned = SimulatedProvider(accounts=ACCOUNTS)
    process = provider_process(
        planned.port, planned.cdn_port, tmp_path / "provider.log"
    )
    process.start()
    try:
        answer = resolve(http, planned, planned.media_id_for(Kind.PHOTO, 7)).json()
        process.restart()
        assert (
            http.get(answer["url"], headers=BEARER).content
            == content(Kind.PHOTO, 7).body
        )
    finally:
        process.stop()


def test_a_process_is_drilled_and_watched_over_http(
    tmp_path: Path, http: requests.Session
) -> None:
    planned = SimulatedProvider(accounts=ACCOUNTS)
    process = provider_process(
        planned.port, planned.cdn_port, tmp_path / "provider.log"
    )
    process.start()
    try:
        http.post(f"{planned.api_url}/simulator", json={"down": True})
        assert (
            resolve(http, planned, planned.media_id_for(Kind.PHOTO, 7)).status_code
            == 503
        )
        http.post(
            f"{planned.api_url}/simulator", json={"down": False, "unauthorised": True}
        )
        assert (
            resolve(http, planned, planned.media_id_for(Kind.PHOTO, 7)).status_code
            == 401
        )
        status = http.get(f"{planned.api_url}/simulator").json()
        assert (status["simulator"], status["unauthorised_calls"]) == ("mediahub", 1)
    finally:
        process.stop()


def provider_process(port: int, cdn_port: int, log: Path) -> Process:
    return Process(
        "provider",
        [
            sys.executable,
            "-m",
            "simulator.provider",
            "--port",
            str(port),
            "--cdn-port",
            str(cdn_port),
        ],
        log=log,
        env={
            "META_ACCESS_TOKEN": ACCOUNTS.meta_access_token,
            "META_APP_SECRET": ACCOUNTS.meta_app_secret,
        },
        ready=accepts_connections(cdn_port),
    )


def test_a_taken_port_is_an_error_and_leaves_the_other_one_free() -> None:
    with SimulatedProvider() as first:
        second = SimulatedProvider(port=free_port(), cdn_port=first.cdn_port)
        with pytest.raises(OSError, match="in use"):
            second.start()
        assert not accepts_connections(second.port)()
