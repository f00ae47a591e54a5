"""Post signed requests to a hub, side by side, as vendors do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from simulator.deliveries import SignedRequest
from simulator.ledger import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How the posting of one request ended."""

    request: SignedRequest
    #: 0: there was no answer.
    status: int
    #: Of the last try.
    seconds: float
    tries: int = 1
    #: Why there was no answer, or "".
    error: str = ""

    @property
    def accepted(self) -> bool:
        """Only exactly 200 counts: the message is now the hub's to keep."""
        return self.status == 200


def send(
    signed: Iterable[SignedRequest],
    base_url: str,
    *,
    parallel: int = 16,
    redeliver: bool = False,
    tries: int = 12,
    timeout: float = 15.0,
    on_answer: Callable[[Answer], None] = lambda answer: None,
) -> list[Answer]:
    """Post the requests over ``parallel`` connections; an answer for each, in no order.

    With ``redeliver`` a request that is not answered 200 is posted again, up to ``tries``
    times with growing pauses (10 s at most): as Meta does, and Twilio where it is told to.
    ``on_answer`` is called for each answer, by one thread at a time.
    """
    if not redeliver:
        tries = 1
    waiting, lock = iter(signed), threading.Lock()
    answers: list[Answer] = []

    def post_some() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while True:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    return
                answer = _deliver(session, base_url, request, tries, timeout)
                with lock:
                    answers.append(answer)
                    on_answer(answer)

    with ThreadPoolExecutor(parallel, thread_name_prefix="traffic") as pool:
        for thread in [pool.submit(post_some) for _ in range(parallel)]:
            thread.result()
    return answers


def _deliver(
    session: requests.Session,
    base_url: str,
    request: SignedRequest,
    tries: int,
    timeout: float,
) -> Answer:
    for attempt in range(1, tries + 1):
        answer = _post(session, base_url, request, timeout, attempt)
        if answer.accepted or attempt == tries:
            break
        time.sleep(min(10.0, 0.1 * 2**attempt))
    return answer


def _post(
    session: requests.Session,
    base_url: str,
    request: SignedRequest,
    timeout: float,
    attempt: int,
) -> Answer:
    status, error = 0, ""
    began = time.perf_counter()
    try:
        response = session.request(
            request.method,
            base_url + request.path,
            data=request.body,
            headers=request.headers,
            timeout=timeout,
            allow_redirects=False,
        )
        status = response.status_code
    except requests.RequestException as failure:
        error = f"{type(failure).__name__}: {failure}"
    return Answer(
        request=request,
        status=status,
        seconds=time.perf_counter() - began,
        tries=attempt,
        error=error,
    )


def accepted(ledger: Ledger, answers: Iterable[Answer]) -> Ledger:
    """The part of the ledger that the hub took on: each message with at least one delivery answered
    200.
    """
    return ledger.only(
        id for answer in answers if answer.accepted for id in answer.request.message_ids
    )
