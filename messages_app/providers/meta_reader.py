"""The envelope of Meta's deliveries: every entry, every change, every list in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from messages_app.providers import lenient_json
from messages_app.providers.base import RawDelivery
from messages_app.providers.events import (
    Event,
    Noticed,
    Origin,
    StatusChanged,
    Unreadable,
)
from messages_app.providers.meta_contacts import read_contact, read_user_id_update
from messages_app.providers.meta_content import brings_media
from messages_app.providers.meta_envelope import (
    Envelope,
    envelope_of,
    envelope_of_thread,
)
from messages_app.providers.meta_json import (
    Json,
    UnreadableError,
    error_text,
    moment_of,
    object_in,
)
from messages_app.providers.meta_message import read_echo, read_message
from messages_app.providers.owners import owners_among
from messages_app.providers.text import (
    CATEGORY_LIMIT,
    KIND_LIMIT,
    TEXT_LIMIT,
    TYPE_LIMIT,
    sanitize,
    sanitize_id,
    sanitize_json,
)

log = logging.getLogger(__name__)

# The webhook fields that are read, and how the messages in them reached us.
_FIELDS: Mapping[str, Origin] = {
    "messages": "live",
    "standby": "standby",
    "history": "history",
    "smb_message_echoes": "echo",
    "smb_app_state_sync": "live",
    "user_id_update": "live",
}
# So many parts of a wrong shape are described; the others are counted.
MAX_UNREADABLE = 100


def read(delivery: RawDelivery) -> Iterator[Event]:
    """Every entry, every change, every message and status: Meta sends up to a thousand at
    once.
    """
    try:
        body = lenient_json.loads(delivery.body)
    except ValueError as error:
        text = delivery.body.decode(errors="replace")
        yield Unreadable(
            path="", error=f"not JSON: {error}", payload=sanitize(text, TEXT_LIMIT)
        )
        return
    if not isinstance(body, dict):
        yield _unreadable("", "not an object", body)
        return
    broken = _Broken()
    for entry_path, entry in _objects(body, "entry", "", broken):
        for path, change in _objects(entry, "changes", entry_path, broken):
            yield from _read_change(change, path, delivery.received_at, broken)
    yield from broken.events()


def _read_change(
    change: Json, path: str, received_at: datetime, broken: _Broken
) -> Iterator[Event]:
    field, value = change.get("field"), change.get("value")
    if not isinstance(field, str):
        broken.add(f"{path}.field", "not a name", change)
        return
    # Meta has some thirty other fields, of templates and accounts. They are counted by name.
    origin = _FIELDS.get(field)
    if origin is None:
        yield Noticed(name=sanitize(field, TYPE_LIMIT), has_media=brings_media(value))
        return
    if not isinstance(value, dict):
        broken.add(f"{path}.value", "not an object", value)
        return
    yield from _lists(value, envelope_of(value, received_at, origin), path, broken)
    if errors := error_text(value.get("errors")):
        yield Noticed(name="errors", error=errors)
    for name in value.keys() - _READ:
        if isinstance(value[name], dict | list):
            yield Noticed(
                name=sanitize(f"{field}.{name}", TYPE_LIMIT),
                has_media=brings_media(value[name]),
            )
    standby = value.get("standby")
    if isinstance(standby, dict):
        # The same lists again, one level deeper, beside the metadata of the value.
        envelope = envelope_of({**value, **standby}, received_at, "standby")
        yield from _lists(standby, envelope, f"{path}.standby", broken)
    elif standby is not None:
        broken.add(f"{path}.standby", "not an object", standby)


def _lists(
    value: Json, envelope: Envelope, path: str, broken: _Broken
) -> Iterator[Event]:
    """Each list that is known, in whatever field it is."""
    for name, read in _READERS.items():
        if value.get(name) is not None:
            for at, part in _objects(value, name, path, broken):
                yield from _attempt(read, part, envelope, at)
    if value.get("history") is not None:
        for at, chunk in _objects(value, "history", path, broken):
            yield from _history(chunk, envelope, at, broken)


def _history(
    chunk: Json, envelope: Envelope, path: str, broken: _Broken
) -> Iterator[Event]:
    """A part of the history of the business's phone: conversations with their messages."""
    if errors := error_text(chunk.get("errors")):
        # Mostly 2593109: the business does not share it. Shown to staff beside what could not be
        # read.
        yield _unreadable(
            f"{path}.errors",
            f"The history is not shared: {errors}",
            chunk.get("errors"),
        )
        if chunk.get("threads") is None:
            return
    for thread_path, thread in _objects(chunk, "threads", path, broken):
        thread_envelope = envelope_of_thread(thread, envelope)
        for at, message in _objects(thread, "messages", thread_path, broken):
            yield from _attempt(_READERS["messages"], message, thread_envelope, at)


def _read_status(status: Json, envelope: Envelope) -> list[StatusChanged]:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status"""
    id, name = sanitize_id(status.get("id")), sanitize(status.get("status"), KIND_LIMIT)
    if not id or not name:
        missing = "name" if id else "id"
        raise UnreadableError(f"the status has no {missing}")
    moment, _ = moment_of(status.get("timestamp"), envelope.received_at)
    group_id = ""
    if status.get("recipient_type") == "group":
        group_id = sanitize_id(status.get("recipient_id"))
    # In a group each participant has statuses of their own.
    to = "recipient"
    if group_id:
        to = "recipient_participant"
    named = [status.get(f"{to}_id"), status.get(f"{to}_user_id")]
    # Two recipients with ids of an unknown form are still two.
    as_written = [text for name in named if (text := sanitize(name, TYPE_LIMIT))]
    recipients = [*owners_among(*named), *as_written]
    changed = StatusChanged(
        account=envelope.account,
        provider_message_id=id,
        status=name,
        occurred_at=moment,
        recipient=next(iter(recipients), ""),
        group_id=group_id,
        category=sanitize(object_in(status, "pricing").get("category"), CATEGORY_LIMIT),
        error=error_text(status.get("errors")),
        reference=sanitize(status.get("biz_opaque_callback_data"), TEXT_LIMIT),
        raw=sanitize_json(status),
    )
    return [changed]


_Reader = Callable[[Json, Envelope], Sequence[Event]]
_READERS: Mapping[str, _Reader] = {
    "messages": read_message,
    "message_echoes": read_echo,
    "statuses": _read_status,
    "state_sync": read_contact,
    "user_id_update": read_user_id_update,
}


# What is read of a value.
_READ = {*_READERS, "contacts", "errors", "history", "metadata", "standby"}


def _attempt(
    read: _Reader, part: Json, envelope: Envelope, path: str
) -> Sequence[Event]:
    """Read one message or status. An error in it does not stop the others."""
    try:
        return read(part, envelope)
    except UnreadableError as error:
        return [_unreadable(path, str(error), part)]
    except Exception as error:
        log.exception("A fault of ours in reading %s", path)
        return [_unreadable(path, f"a fault of ours: {type(error).__name__}", part)]


def _objects(
    parent: Json, name: str, path: str, broken: _Broken
) -> Iterator[tuple[str, Json]]:
    """The objects of a list, each with its path. Anything else is added to ``broken``."""
    at = f"{path}.{name}" if path else name
    parts = parent.get(name)
    if not isinstance(parts, list):
        broken.add(at, "not a list", parts)
        return
    for index, part in enumerate(parts):
        if isinstance(part, dict):
            yield f"{at}[{index}]", part
        else:
            broken.add(f"{at}[{index}]", "not an object", part)


class _Broken:
    """The parts that could not be read. The first ones are described, the others counted: there may
    be millions.
    """

    def __init__(self) -> None:
        self._described: list[Unreadable] = []
        self._more = 0

    def add(self, path: str, error: str, part: object) -> None:
        if len(self._described) < MAX_UNREADABLE:
            self._described.append(_unreadable(path, error, part))
        else:
            self._more += 1

    def events(self) -> Iterator[Unreadable]:
        yield from self._described
        if self._more:
            yield Unreadable(
                path="more", error="not counted one by one", parts=self._more
            )


def _unreadable(path: str, error: str, part: object) -> Unreadable:
    return Unreadable(
        path=path, error=sanitize(error, TEXT_LIMIT), payload=sanitize_json(part)
    )
