"""One person removed from a delivery: nothing of them stays, and nothing of others goes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from messages_app.erasing.withheld import message_ids_of, people_of
from messages_app.providers import provider_of
from messages_app.providers.base import Erased
from messages_app.providers.events import Event, Unreadable
from tests.providers.deliveries import ADA, ADA_HIDDEN, BOB, body, delivery, read
from tests.providers.test_contract import ENDPOINTS, VALID

NOBODY = Erased(owners=frozenset(), message_ids=frozenset())


def without(raw: bytes, endpoint: str, erased: Erased) -> bytes:
    return provider_of(endpoint).without(delivery(raw, endpoint), erased)


def events_of(raw: bytes, endpoint: str) -> list[Event]:
    """What a body says of people."""
    if not raw:
        return []
    return [event for event in read(raw, endpoint) if people_of(event)]


@pytest.mark.parametrize(("endpoint", "label"), VALID)
def test_each_person_is_removed_and_no_other(endpoint: str, label: str) -> None:
    raw = body(endpoint.partition("-")[0], label)
    events = events_of(raw, endpoint)
    people = {people_of(event) for event in events}
    # One recipient has an id of an unknown form: nobody can ask for it.
    for named in people - {("member-7",)}:
        person = {*named}
        if not person.isdisjoint({ADA, ADA_HIDDEN}):
            person |= {ADA, ADA_HIDDEN}
        own = [e for e in events if not person.isdisjoint(people_of(e))]
        others = [e for e in events if e not in own]
        erased = Erased(owners=frozenset(person), message_ids=message_ids_of(own))
        rest = without(raw, endpoint, erased)
        assert events_of(rest, endpoint) == others
        for owner in person:
            assert owner.split(":")[1].strip("+").encode() not in rest


@pytest.mark.parametrize(("endpoint", "label"), VALID)
def test_a_delivery_without_them_keeps_its_bytes(endpoint: str, label: str) -> None:
    raw = body(endpoint.partition("-")[0], label)
    if any(isinstance(event, Unreadable) for event in read(raw, endpoint)):
        return
    nobody = Erased(owners=frozenset({"whatsapp:+1433"}), message_ids=frozenset({"x"}))
    assert without(raw, endpoint, nobody) == raw


@given(endpoint=st.sampled_from(ENDPOINTS), raw=st.binary())
@effort(deadline=None)
def test_no_bytes_make_it_raise(endpoint: str, raw: bytes) -> None:
    assert without(raw, endpoint, NOBODY) in (raw, b"")


def test_a_number_in_the_words_of_another_stays() -> None:
    form = b"MessageSid=SM1&From=whatsapp%3A%2B15550002222&Body=call+14335551212"
    ada = Erased(owners=frozenset({ADA}), message_ids=frozenset())
    assert without(form, "twilio", ada) == form
    bob = Erased(owners=frozenset({BOB}), message_ids=frozenset())
    assert without(form, "twilio", bob) == b""


def test_who_is_answered_in_a_group_is_removed_from_the_answer() -> None:
    answer = {
        "from": "15550002222",
        "id": "wamid.2",
        "context": {"from": "14335551212", "id": "wamid.1", "forwarded": True},
    }
    raw = json.dumps({"entry": [{"changes": [{"value": {"messages": [answer]}}]}]})
    ada = Erased(
        owners=frozenset({ADA, ADA_HIDDEN}), message_ids=frozenset({"wamid.1"})
    )
    rest = json.loads(without(raw.encode(), "meta", ada))
    (message,) = rest["entry"][0]["changes"][0]["value"]["messages"]
    assert message == {**answer, "context": {"forwarded": True}}
