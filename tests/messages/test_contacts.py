"""Who is who, in whatever order we come to know it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from messages_app.contacts import SenderObservation, own_id, resolve
from messages_app.models import Contact, ContactOwner, Message

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NUMBER, HIDDEN, OTHER = (
    "whatsapp:+14335551212",
    "whatsapp:US.4815162342",
    "whatsapp:+15550002222",
)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def seen(*owners: str, name: str = "", second: int | None = None) -> SenderObservation:
    return SenderObservation(
        owners=owners, name=name, at=None if second is None else at(second)
    )


def people() -> list[tuple[object, ...]]:
    """All contacts and their owners, ids included."""
    owners = [
        ("owner", *row)
        for row in ContactOwner.objects.order_by("owner").values_list(
            "owner", "contact"
        )
    ]
    contacts = Contact.objects.order_by("id").values_list(
        "id", "name", "named_at", "last_message_at"
    )
    return [*owners, *contacts]


def say(owner: str) -> Message:
    """A message from this owner, as the inbox links it."""
    return Message.objects.create(
        id=own_id(f"a message of {owner}"),
        provider="meta",
        provider_message_id=owner,
        contact_id=resolve([seen(owner)])[owner],
        owner=owner,
        kind="text",
        occurred_at=NOON,
        received_at=NOON,
    )


def test_a_new_owner_is_a_new_contact_with_an_id_of_its_own() -> None:
    assert resolve([seen(NUMBER, name="Ada", second=1)]) == {NUMBER: own_id(NUMBER)}
    contact = Contact.objects.get()
    assert (contact.name, contact.named_at, contact.last_message_at) == (
        "Ada",
        at(1),
        at(1),
    )


def test_owners_seen_together_are_one_contact_with_the_smallest_of_their_ids() -> None:
    resolve([seen(NUMBER, HIDDEN)])
    assert Contact.objects.get().id == min(own_id(NUMBER), own_id(HIDDEN))
    assert ContactOwner.objects.count() == 2


@pytest.mark.parametrize("link", [(NUMBER, HIDDEN), (HIDDEN, NUMBER)])
def test_merging_moves_messages_and_owners_and_leaves_no_contact_behind(
    link: tuple[str, str],
) -> None:
    said = [say(NUMBER), say(HIDDEN)]
    assert Contact.objects.count() == 2
    resolve([seen(*link)])
    contact = Contact.objects.get()
    assert set(contact.messages.all()) == set(said)
    assert {owner.owner for owner in contact.owners.all()} == {NUMBER, HIDDEN}


def test_the_latest_name_wins_whenever_it_comes() -> None:
    for second, name, expected in [
        (2, "Ada", "Ada"),
        (1, "Adah", "Ada"),
        (3, "Ada L.", "Ada L."),
        (9, "", "Ada L."),
    ]:
        resolve([seen(NUMBER, name=name, second=second)])
        assert Contact.objects.get().name == expected
    assert Contact.objects.get().last_message_at == at(9)


def test_a_name_confirmed_later_is_not_replaced_by_one_from_between() -> None:
    resolve([seen(NUMBER, name="Ada", second=1)])
    resolve([seen(NUMBER, second=9)])
    resolve([seen(NUMBER, name="Ada", second=5)])
    resolve([seen(NUMBER, name="Bob", second=3)])
    assert Contact.objects.get().name == "Ada"


def test_an_observation_of_nobody_makes_no_contact() -> None:
    assert resolve([seen(name="Ada", second=1)]) == {}
    assert not Contact.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("met_before", [True, False])
def test_two_who_meet_one_person_at_once_make_one_contact_with_the_latest_name(
    met_before: bool,
) -> None:
    with transaction.atomic():
        resolve([seen(NUMBER)] if met_before else [])
    with transaction.atomic():
        resolve([seen(NUMBER, name="Ada", second=5)])
        other = threading.Thread(
            target=meet, args=(seen(NUMBER, name="Bob", second=3),)
        )
        other.start()
        # It stands where it must wait for us, or has not come so far.
        other.join(0.3)
        assert other.is_alive()
    other.join()
    assert people() == [
        ("owner", NUMBER, own_id(NUMBER)),
        (own_id(NUMBER), "Ada", at(5), at(5)),
    ]


def meet(observation: SenderObservation) -> None:
    try:
        with transaction.atomic():
            resolve([observation])
    finally:
        connection.close()


OWNERS = [f"whatsapp:+1555000000{number}" for number in range(4)] + [
    "whatsapp:US.1",
    "whatsapp:US.2",
]
observations = st.lists(
    st.builds(
        SenderObservation,
        owners=st.lists(
            st.sampled_from(OWNERS), min_size=1, max_size=3, unique=True
        ).map(tuple),
        name=st.sampled_from(["", "Ada", "Bob"]),
        at=st.one_of(st.none(), st.integers(0, 4).map(at)),
    ),
    max_size=7,
)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_order_and_batches_of_observations_end_the_same(
    data: st.DataObject,
) -> None:
    told = data.draw(observations)
    other = data.draw(st.permutations(told))
    cuts = data.draw(st.lists(st.integers(0, len(told)), max_size=3))
    assert _end_of([told]) == _end_of(_cut(other, cuts))


def _cut(
    told: Sequence[SenderObservation], cuts: Sequence[int]
) -> list[Sequence[SenderObservation]]:
    edges = [0, *sorted(cuts), len(told)]
    return [told[start:end] for start, end in pairwise(edges)]


def _end_of(batches: Sequence[Sequence[SenderObservation]]) -> list[tuple[object, ...]]:
    """The people after these batches, who are then forgotten."""
    with transaction.atomic():
        for batch in batches:
            resolved = resolve(batch)
            assert all(
                ContactOwner.objects.filter(owner=owner, contact=contact).exists()
                for owner, contact in resolved.items()
            )
        end = people()
        transaction.set_rollback(True)
    return end
