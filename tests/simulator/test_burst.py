"""Traffic is what the vendors would send, and the ledger is all of it."""

from __future__ import annotations

import hmac
import json
import threading
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from twilio.request_validator import RequestValidator

from simulator.accounts import Accounts
from simulator.burst import Burst
from simulator.content import Kind
from simulator.deliveries import SignedRequest
from simulator.ledger import Ledger
from simulator.listener import Listener, Request, Response
from simulator.posting import accepted, send
from simulator.processes import free_port

ACCOUNTS = Accounts()
START = 1_790_000_000


def burst(**values: Any) -> tuple[list[SignedRequest], Ledger]:
    return Burst(**{"photos": 3, "senders": 4, "start": START, **values}).build()


def meta_messages(requests: list[SignedRequest]) -> Iterator[dict[str, Any]]:
    for request in requests:
        for entry in json.loads(request.body)["entry"]:
            for change in entry["changes"]:
                yield from change["value"]["messages"]


def test_every_sender_sends_every_photo_once() -> None:
    _, ledger = burst(photos=5, senders=3)
    assert list(Counter(file.owner for file in ledger.files).values()) == [5, 5, 5]
    assert len({file.sha256 for file in ledger.files}) == 15
    assert len({message.message_id for message in ledger.messages}) == 15


def test_each_delivery_is_posted_as_often_as_asked_in_any_order() -> None:
    once, ledger = burst(duplicates=1, provider="both")
    thrice, same = burst(duplicates=3, provider="both")
    assert same == ledger
    assert set(Counter(request.body for request in thrice).values()) == {3}
    assert {request.body for request in thrice} == {request.body for request in once}
    first_round = thrice[: len(once)]
    assert len({request.body for request in first_round}) < len(first_round)


def test_the_requests_carry_exactly_what_the_ledger_says() -> None:
    requests, ledger = burst(provider="both", mix=True, duplicates=1)
    carried = [id for request in requests for id in request.message_ids]
    assert sorted(carried) == sorted(message.message_id for message in ledger.messages)


def test_one_seed_is_one_burst_and_another_seed_another() -> None:
    assert burst(seed=1, provider="both", mix=True) == burst(
        seed=1, provider="both", mix=True
    )
    first, second = burst(seed=1)[1], burst(seed=2)[1]
    assert not {file.sha256 for file in first.files} & {
        file.sha256 for file in second.files
    }


def test_the_same_burst_at_another_time_says_something_new() -> None:
    first, second = burst(start=START)[1], burst(start=START + 60)[1]
    assert not {file.media_id for file in first.files} & {
        file.media_id for file in second.files
    }
    assert not {message.message_id for message in first.messages} & {
        message.message_id for message in second.messages
    }


def test_meta_deliveries_are_signed_with_the_app_secret() -> None:
    for request in burst()[0]:
        digest = hmac.new(
            ACCOUNTS.meta_app_secret.encode(), request.body, sha256
        ).hexdigest()
        assert request.headers["X-Hub-Signature-256"] == f"sha256={digest}"


def test_twilio_deliveries_are_signed_for_the_public_address() -> None:
    requests, _ = burst(
        provider="twilio", mix=True, public_url="https://hub.example.com"
    )
    for request in requests:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        signature = request.headers["X-Twilio-Signature"]
        validator = RequestValidator(ACCOUNTS.twilio_auth_token)
        assert validator.validate(
            f"https://hub.example.com{request.path}", form, signature
        )
        assert not validator.validate(
            f"http://localhost:8000{request.path}", form, signature
        )


def test_meta_announces_each_file_with_its_id_and_digest() -> None:
    requests, ledger = burst(mix=True, duplicates=1)
    announced = {
        message["id"]: (media["id"], b64decode(media["sha256"]).hex())
        for message in meta_messages(requests)
        if "id" in (media := message[message["type"]])
    }
    assert announced == {
        file.message_id: (file.media_id, file.sha256) for file in ledger.files
    }


def test_twilio_announces_each_file_with_an_address_of_its_api() -> None:
    requests, ledger = burst(
        provider="twilio", duplicates=1, api_url="http://127.0.0.1:9101"
    )
    forms = [parse_qs(request.body.decode()) for request in requests]
    announced = {form["MessageSid"][0]: form["MediaUrl0"][0] for form in forms}
    assert announced == {
        file.message_id: f"http://127.0.0.1:9101/2010-04-01/Accounts/{file.account}"
        f"/Messages/{file.message_id}/Media/{file.media_id}"
        for file in ledger.files
    }


def test_meta_batches_on_all_three_levels() -> None:
    payloads = [
        json.loads(request.body) for request in burst(photos=20, duplicates=1)[0]
    ]
    entries = [entry for payload in payloads for entry in payload["entry"]]
    changes = [change for entry in entries for change in entry["changes"]]
    assert max(len(payload["entry"]) for payload in payloads) > 1
    assert max(len(entry["changes"]) for entry in entries) > 1
    assert max(len(change["value"]["messages"]) for change in changes) > 1


def test_a_change_names_the_senders_of_its_messages() -> None:
    for request in burst(photos=20, duplicates=1)[0]:
        for entry in json.loads(request.body)["entry"]:
            for change in entry["changes"]:
                named = {contact["wa_id"] for contact in change["value"]["contacts"]}
                assert named == {
                    message["from"] for message in change["value"]["messages"]
                }


def test_a_mix_holds_every_kind_and_words_for_each_sender() -> None:
    _, ledger = burst(mix=True)
    by_owner: dict[str, set[Kind | None]] = {}
    for message in ledger.messages:
        by_owner.setdefault(message.owner, set()).add(
            message.file.kind if message.file else None
        )
    extras = {Kind.VIDEO, Kind.VOICE, Kind.DOCUMENT, Kind.STICKER, None}
    assert len(by_owner) == 4
    assert all(kinds >= extras for kinds in by_owner.values())
    assert any(message.text for message in ledger.messages if message.kind == "image")


def test_links_come_with_some_deliveries_where_the_host_is_known() -> None:
    requests, _ = burst(photos=10, duplicates=1, links="http://127.0.0.1:9102")
    links = [message["image"].get("url", "") for message in meta_messages(requests)]
    assert {link.startswith("http://127.0.0.1:9102/links/") for link in links} == {
        True,
        False,
    }


@pytest.mark.parametrize(
    ("values", "why"),
    [({"provider": "telegram"}, "telegram"), ({"senders": 10_001}, "10001")],
)
def test_an_impossible_burst_is_refused(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Burst(**values)


# --- posting ------------------------------------------------------------------


class Hub:
    """Answers each body with the next status of its script, then with the last."""

    def __init__(self, *script: int) -> None:
        self.script = script
        self.seen: Counter[bytes] = Counter()
        self.lock = threading.Lock()
        self.listener = Listener(port := free_port(), self.answer)
        self.url = f"http://127.0.0.1:{port}"

    def answer(self, request: Request) -> Response:
        with self.lock:
            turn = min(self.seen[request.body], len(self.script) - 1)
            self.seen[request.body] += 1
        return Response(status=self.script[turn])

    def __enter__(self) -> Hub:
        self.listener.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.listener.stop()


def test_every_request_is_posted_and_answered() -> None:
    requests, ledger = burst(duplicates=2)
    with Hub(200) as hub:
        answers = send(requests, hub.url, parallel=4)
    assert hub.seen == Counter(request.body for request in requests)
    assert [answer.status for answer in answers] == [200] * len(requests)
    assert accepted(ledger, answers) == ledger


def test_a_hub_that_is_away_is_recorded_and_not_raised() -> None:
    requests, _ = burst(duplicates=1)
    answers = send(requests, f"http://127.0.0.1:{free_port()}")
    assert {answer.status for answer in answers} == {0}
    assert all("ConnectionError" in answer.error for answer in answers)


def test_redelivery_goes_on_until_it_is_answered_200() -> None:
    requests, ledger = burst(duplicates=1, photos=1)
    with Hub(500, 202, 200) as hub:
        answers = send(requests, hub.url, redeliver=True)
    assert {answer.tries for answer in answers} == {3}
    assert accepted(ledger, answers) == ledger


def test_redelivery_gives_up_after_its_tries() -> None:
    requests, _ = burst(duplicates=1, photos=1)
    with Hub(500) as hub:
        answers = send(requests, hub.url, redeliver=True, tries=2)
    assert {(answer.status, answer.tries) for answer in answers} == {(500, 2)}
