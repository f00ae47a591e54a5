"""Deliveries with faults in them, each beside two good photos, made by a number alone."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from random import Random
from urllib.parse import parse_qsl

from django.conf import settings

from bench import mutations
from bench.form_mutations import Fields, encode, mutate_form
from bench.mutations import Json
from mediahub.env import BASE_DIR
from simulator.deliveries import TWILIO_PATH, SignedRequest
from tests.messages.mail import (
    ACCOUNTS,
    ADA,
    STATUS_PATH,
    image,
    meta,
    meta_bytes,
)

# So many are read together; then the tables are emptied, so that the last ones are read as fast as
# the first.
ROUND = 100
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
    fields = mutate_form(random, _fields(random.choice(seeds("twilio"))))
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
        request = _signed(encode(random, fields), path)
        return Fuzzed((request,), tuple((ids[0], link) for link in links))
    body = encode(random, fields)
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
    beside = (_signed(encode(Random(0), form), TWILIO_PATH) for form in forms)
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
