"""Signed nonsense around real photos: always answered 200, never an exception, never a photo
lost.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_app.models import Media
from messages_app import inbox
from messages_app.models import Delivery
from tests.messages.mail import (
    ACCOUNTS,
    STATUS_PATH,
    image,
    meta_json,
    post,
    twilio_form,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

fuzzed = settings(
    max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

# Half-broken text included: NUL, lone surrogates, and all that JSON can spell.
words = st.text(st.characters(exclude_categories=()), max_size=20)
numbers = st.one_of(
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False, allow_infinity=False),
)
_NAMES = """
    id from from_user_id type timestamp image video text body system edit errors
    original_message_id message context interactive button location contacts wa_id status
    profile name user_id mime_type sha256 caption filename metadata
"""
names = st.sampled_from(_NAMES.split())
known = st.sampled_from(
    [
        "image",
        "text",
        "system",
        "edit",
        "sent",
        "user_changed_number",
        "14335551212",
        "wamid.1",
    ]
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words, known),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(names, words), inner, max_size=5),
    ),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=6)


# The fields that bring messages, and where they stand in each.
fields = st.sampled_from(
    [
        lambda messages: ("messages", {"messages": messages}),
        lambda messages: ("standby", {"standby": {"messages": messages}}),
        lambda messages: (
            "history",
            {"history": [{"threads": [{"id": "14335551212", "messages": messages}]}]},
        ),
        lambda messages: ("history", {"messages": messages}),
        lambda messages: ("smb_message_echoes", {"message_echoes": messages}),
    ]
)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[Any, set[str]]:
    """A delivery, and the ids of the photos that are whole in it, whatever stands beside and above
    them.
    """
    entries: list[Any] = []
    ids: set[str] = set()
    for entry in range(draw(st.integers(0, 2))):
        changes: list[Any] = []
        for change in range(draw(st.integers(1, 2))):
            messages: list[Any] = draw(st.lists(st.one_of(values, objects), max_size=3))
            for number in range(draw(st.integers(0, 2))):
                id = f"wamid.{entry}.{change}.{number}"
                ids.add(f"media-{id}")
                whole = {**draw(objects), **image(id)}
                messages.insert(draw(st.integers(0, len(messages))), whole)
            beside = draw(
                st.dictionaries(
                    st.sampled_from(["contacts", "statuses", "metadata", "errors"]),
                    values,
                )
            )
            account = {"metadata": {"phone_number_id": ACCOUNTS.meta_phone_number_id}}
            field, lists = draw(fields)(messages)
            changes.append({"field": field, "value": {**account, **beside, **lists}})
        changes += draw(st.lists(values, max_size=2))
        entries.append({**draw(objects), "changes": changes})
    entries += draw(st.lists(values, max_size=2))
    return {"object": draw(values), "entry": entries}, ids


@fuzzed
@given(payloads())
def test_no_photo_is_lost_whatever_stands_beside_it(sent: tuple[Any, set[str]]) -> None:
    payload, ids = sent
    with transaction.atomic():
        assert post(meta_json(payload)).status_code == 200
        assert inbox.drain() == 1
        assert ids <= set(Media.objects.values_list("provider_media_id", flat=True))
        assert Delivery.objects.get().state != "received"
        transaction.set_rollback(True)


FIELDS = [
    "MessageSid",
    "SmsStatus",
    "MessageStatus",
    "NumMedia",
    "From",
    "WaId",
    "Body",
    "MediaUrl1",
    "ProfileName",
]
form_words = st.text(max_size=20)


@settings(fuzzed, max_examples=50)
@given(
    form=st.dictionaries(
        st.one_of(st.sampled_from(FIELDS), form_words),
        form_words,
        min_size=1,
        max_size=6,
    ),
    path=st.sampled_from(["/webhooks/twilio/", STATUS_PATH]),
)
def test_no_form_stops_the_reader_and_no_photo_in_it_is_lost(
    form: dict[str, str], path: str
) -> None:
    whole = {
        "MessageSid": "SM1",
        "SmsStatus": "received",
        "MediaUrl0": "https://api.twilio.com/Media/1",
    }
    with transaction.atomic():
        assert post(twilio_form(form, path)).status_code == 200
        assert post(twilio_form({**form, **whole}, path)).status_code == 200
        assert inbox.drain() == Delivery.objects.count()
        assert Media.objects.filter(url=whole["MediaUrl0"]).exists()
        transaction.set_rollback(True)
