"""Signed deliveries with faults in them, each beside two good photos: ``make fuzz
DELIVERIES=10000``.

Every file of ``tests/providers/`` is a seed. A delivery is made by its number and SEED alone,
posted through the webhook and read by the inbox. All are answered 200, each good photo is there
once with its message, nothing is left unread, no fault of ours had to be caught, and the pages of
what was read open.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from bench import mutations
from bench.mutations import Fields, Json
from media_app.admin.machine_owned import change_url
from media_app.models import Media
from mediahub.env import BASE_DIR
from messages_app import inbox
from messages_app.models import (
    Attachment,
    Delivery,
    Message,
    QuarantinedItem,
    SessionRebuild,
)
from simulator.deliveries import TWILIO_PATH, SignedRequest
from tests.messages.mail import (
    ACCOUNTS,
    ADA,
    STATUS_PATH,
    image,
    meta,
    meta_bytes,
    post,
)

DELIVERIES = int(os.environ.get("DELIVERIES") or 200)
SEED = int(os.environ.get("SEED") or 1)
# So many are read together; then the tables are emptied, so that the last ones are read as fast as
# the first.
ROUND = 100
PAGES = 1
_SEEDS = BASE_DIR / "tests" / "providers"
# Of Meta's fields: the list of messages in its value. History has them two levels deeper.
_LISTS = {
    "messages": "messages",
    "standby": "messages",
    "smb_message_echoes": "message_echoes",
}
_MEDIA = "https://api.twilio.com/2010-04-01/Accounts/{}/Messages/{}/Media/MEf00d{:028x}"


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What is sent: a delivery with faults in it and, where they can't be in it, good photos in
    others.
    """

    requests: tuple[SignedRequest, ...]
    #: Of each good photo: the id of its message, and the id or the link of its file.
    photos: tuple[tuple[str, str], ...]


def sender_of(number: int) -> str:
    """One for each round: each has a conversation that is rebuilt."""
    return f"{ADA[:-6]}{number // ROUND:06}"


# --- Meta ---------------------------------------------------------------------


def from_meta(random: Random, number: int) -> Fuzzed:
    ids = [f"wamid.good.{number}.{index}" for index in range(2)]
    photos = [image(id, sender=sender_of(number)) for id in ids]
    sent = tuple((id, f"media-{id}") for id in ids)
    seed = random.choice(seeds("meta"))
    if random.random() < 0.3:
        # Where it ends, or what belongs together, nobody can know any more.
        return Fuzzed((meta_bytes(mutations.damage(random, seed)), meta(*photos)), sent)
    tree = mutations.mutate_json(random, mutations.parsed(seed))
    room = list(room_for_messages(tree))
    if not room:
        return Fuzzed((meta_bytes(mutations.dump(random, tree)), meta(*photos)), sent)
    parts, in_parts = random.choice(room)
    for photo in photos:
        parts.insert(random.randint(0, len(parts)), in_parts(photo))
    return Fuzzed((meta_bytes(mutations.dump(random, tree)),), sent)


def room_for_messages(
    tree: Json,
) -> Iterator[tuple[list[Json], Callable[[Json], Json]]]:
    """The lists of a delivery that take a message, a change or an entry, and how a message is put
    into each.
    """
    entries = mutations.list_in(tree, "entry")
    if entries is None:
        return
    yield entries, lambda message: {"id": "1", "changes": [_change(message)]}
    for entry in entries:
        changes = mutations.list_in(entry, "changes")
        if changes is None:
            continue
        yield changes, _change
        for change in changes:
            yield from ((found, lambda message: message) for found in _lists(change))


def _lists(change: Json) -> Iterator[list[Json]]:
    """The lists of messages in a change."""
    name = mutations.value_in(change, "field")
    value = mutations.value_in(change, "value")
    if not isinstance(name, str) or name not in {*_LISTS, "history"}:
        return
    holders = (
        [value, mutations.value_in(value, "standby")] if name == "standby" else [value]
    )
    if name == "history":
        chunks = mutations.list_in(value, "history") or []
        holders = [
            thread
            for chunk in chunks
            for thread in mutations.list_in(chunk, "threads") or []
        ]
    for holder in holders:
        found = mutations.list_in(holder, _LISTS.get(name, "messages"))
        if found is not None:
            yield found


def _change(message: Json) -> Json:
    value = {
        "metadata": {"phone_number_id": ACCOUNTS.meta_phone_number_id},
        "messages": [message],
    }
    return {"field": "messages", "value": value}


# --- Twilio -------------------------------------------------------------------


def from_twilio(random: Random, number: int) -> Fuzzed:
    sender = sender_of(number)
    account = ACCOUNTS.twilio_account_sid
    fields = mutations.mutate_form(random, _fields(random.choice(seeds("twilio"))))
    path = random.choice([TWILIO_PATH, TWILIO_PATH, STATUS_PATH])
    ids = [f"MM{number:031x}{index}" for index in range(2)]
    links = [
        _MEDIA.format(account, ids[index], 2 * number + index) for index in range(2)
    ]
    if random.random() < 0.5:
        # Both in the form itself, whatever else it says.
        whole = {
            "MessageSid": ids[0],
            "SmsStatus": "received",
            "MediaUrl0": links[0],
            "MediaUrl1": links[1],
        }
        places = {name.encode() for name in whole}
        fields = [(name, value) for name, value in fields if name not in places]
        for name, value in whole.items():
            fields.insert(
                random.randint(0, len(fields)), (name.encode(), value.encode())
            )
        request = _signed(mutations.encode(random, fields), path)
        return Fuzzed((request,), tuple((ids[0], link) for link in links))
    body = mutations.encode(random, fields)
    if random.random() < 0.4:
        body = mutations.damage(random, body)
    good = [
        {
            "MessageSid": id,
            "SmsStatus": "received",
            "AccountSid": account,
            "From": sender,
            "MediaUrl0": link,
        }
        for id, link in zip(ids, links, strict=True)
    ]
    forms = [
        [(name.encode(), value.encode()) for name, value in form.items()]
        for form in good
    ]
    beside = (_signed(mutations.encode(Random(0), form), TWILIO_PATH) for form in forms)
    return Fuzzed((_signed(body, path), *beside), tuple(zip(ids, links, strict=True)))


def _fields(body: bytes) -> Fields:
    """Byte for byte: Latin-1 has a character for each."""
    pairs = parse_qsl(
        body.decode("latin-1"), keep_blank_values=True, encoding="latin-1"
    )
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def _signed(body: bytes, path: str) -> SignedRequest:
    # The test client sends no content type with an empty body, and then it is no form.
    body = body or b"&"
    text = f"{settings.PUBLIC_URL}{path}".encode() + b"".join(
        a + b for a, b in sorted(set(_fields(body)))
    )
    signature = b64encode(
        hmac.digest(ACCOUNTS.twilio_auth_token.encode(), text, sha1)
    ).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature,
    }
    return SignedRequest(
        method="POST", path=path, headers=headers, body=body, message_ids=()
    )


@cache
def seeds(provider: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((_SEEDS / provider).iterdir())]


# --- the run ------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures() -> Iterator[Counter[str]]:
    """What was counted, printed at the end."""
    found: Counter[str] = Counter()
    yield found
    print(
        f"\nSEED={SEED}:",
        ", ".join(f"{number:,} {name}" for name, number in found.items()),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("start", range(0, DELIVERIES, ROUND))
def test_no_fault_costs_a_good_photo(start: int, figures: Counter[str]) -> None:
    numbers = range(start, min(start + ROUND, DELIVERIES))
    fuzzed = {number: made(number) for number in numbers}
    sent = [
        (number, request)
        for number, each in fuzzed.items()
        for request in each.requests
    ]
    Random(SEED).shuffle(sent)
    answers = {(number, post(request).status_code) for number, request in sent}
    assert {answer for answer in answers if answer[1] != 200} == set()
    while inbox.drain():
        pass

    assert not Delivery.objects.filter(state="received").exists()
    assert lost(fuzzed) == []
    # Whatever failed was read without a fault of ours: no batch was taken a second time.
    assert not Delivery.objects.exclude(attempts=1).exists()
    assert not QuarantinedItem.objects.filter(
        error__contains="a fault of ours"
    ).exists()
    assert not SessionRebuild.objects.failing().exists()
    opened = broken_pages(start)
    assert {url for url, status in opened.items() if status != 200} == set()

    states = Counter(Delivery.objects.values_list("state", flat=True))
    figures.update(
        {
            "with faults": len(numbers),
            "photos": sum(len(each.photos) for each in fuzzed.values()),
        }
    )
    figures.update(
        {
            **states,
            "in quarantine": QuarantinedItem.objects.count(),
            "pages": len(opened),
        }
    )


def made(number: int) -> Fuzzed:
    random = Random(f"{SEED}/{number}")
    return (from_meta if random.random() < 0.7 else from_twilio)(random, number)


def lost(fuzzed: dict[int, Fuzzed]) -> list[tuple[int, str]]:
    """The good photos that are not there exactly once with their messages, by the numbers of their
    deliveries.
    """
    messages = Counter(Message.objects.values_list("provider_message_id", flat=True))
    files: Counter[str] = Counter()
    for id, url in Media.objects.values_list("provider_media_id", "url"):
        files[url or id] += 1
    pairs = Attachment.objects.values_list(
        "message__provider_message_id", "media__provider_media_id", "media__url"
    )
    attached = Counter((message, url or id) for message, id, url in pairs)
    return [
        (number, file)
        for number, each in fuzzed.items()
        for message, file in each.photos
        if (messages[message], files[file], attached[message, file]) != (1, 1, 1)
    ]


def broken_pages(start: int) -> dict[str, int]:
    """The pages of some of what was read, each with the status of its answer."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root", password="root"))
    random = Random(f"{SEED}/pages/{start}")
    rows: list[Any] = []
    for model in (Message, Delivery):
        rows += random.sample(list(model.objects.order_by("id")), PAGES)
    return {url: client.get(url).status_code for url in map(change_url, rows)}
