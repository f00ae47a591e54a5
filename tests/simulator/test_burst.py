"""Traffic is what the vendors would send, and the ledger is all of it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest

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


def test_each_delivery_is_posted_as_often_as_asked_in_any_order() -> None:
    once, ledger = burst(duplicates=1, provider="both")
    thrice, same = burst(duplicates=3, provider="both")
    assert same == ledger
    assert set(Counter(request.body for request in thrice).values()) == {3}
    assert {request.body for request in thrice} == {request.body for request in once}
    first_round = thrice[: len(once)]
    assert len({request.body for request in first_round}) < len(first_round)


def test_one_seed_is_one_burst_and_another_seed_another() -> None:
    assert burst(seed=1, provider="both", mix=True) == burst(
        seed=1, provider="both", mix=True
    )
    first, second = burst(seed=1)[1], burst(seed=2)[1]
    assert not {file.sha256 for file in first.files} & {
        file.sha256 for file in second.files
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


def test_a_hub_that_is_away_is_recorded_and_not_raised() -> None:
    requests, _ = burst(duplicates=1)
    answers = send(requests, f"http://127.0.0.1:{free_port()}")
    assert {answer.status for answer in answers} == {0}
    assert all("ConnectionError" in answer.error for answer in answers)


@pytest.mark.parametrize(
    ("script", "status", "tries"), [((500, 202, 200), 200, 3), ((500,), 500, 4)]
)
def test_redelivery_goes_on_until_it_is_answered_200(
    script: tuple[int, ...], status: int, tries: int
) -> None:
    requests, ledger = burst(duplicates=1, photos=1)
    with Hub(*script) as hub:
        answers = send(requests, hub.url, redeliver=True, tries=4)
    assert {(answer.status, answer.tries) for answer in answers} == {(status, tries)}
    assert (accepted(ledger, answers) == ledger) == (status == 200)
