"""A hub with several people, and a search for what is left of one of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import models

from media_app.ingest import ingest_next
from media_app.models import Media, Tombstone
from media_app.previews import preview_key
from media_app.storage import media_storage
from messages_app import inbox
from messages_app.models import Contact, ContactOwner, ErasureRequest
from simulator.ledger import AnnouncedMessage
from tests.faults import crash
from tests.messages.mail import ADA, BOB, arrive
from tests.storage.buckets import put

KEY = "0123456789abcdef0123456789abcdef"
NUMBER = "14335551212"
#: Numbers that begin like Ada's, or that hers begins like.
NEIGHBOURS = ("whatsapp:+1433555121", "whatsapp:+143355512123")


def photo(
    number: int, owner: str = ADA, name: str = "Ada", vendor: str = "meta"
) -> AnnouncedMessage:
    """A photo that the simulated provider really has."""
    message = crash.photo(number, vendor)
    assert message.file is not None
    return replace(
        message, owner=owner, name=name, file=replace(message.file, owner=owner)
    )


def forwarded(number: int) -> AnnouncedMessage:
    """The photo with this number, sent by Bob as well."""
    message = photo(number, BOB, "Bob")
    assert message.file is not None
    id = "wamid.forwarded"
    return replace(message, message_id=id, file=replace(message.file, message_id=id))


def settle() -> None:
    """Everything that arrived is read, fetched and stored."""
    inbox.drain()
    while ingest_next() is not None:
        pass


def people(first: int = 1) -> None:
    """Ada's photos by both providers, one with a preview; Bob's in the same delivery; two
    neighbours.
    """
    ada = [photo(first), photo(first + 1)]
    bob = photo(first + 2, BOB, "Bob")
    arrive(crash.album(*ada, bob), crash.twilio(photo(first + 3, vendor="twilio")))
    for number, owner in enumerate(NEIGHBOURS, first + 10):
        arrive(crash.album(photo(number, owner, "Neighbour")))
    settle()
    assert not Media.objects.exclude(state="stored").exists()
    media = Media.objects.filter(owner=ADA).order_by("id")[0]
    put(media_storage(), preview_key(media, 320), b"preview")
    put(media_storage(), f"whatsapp:{NUMBER}/old.jpg", b"of a former release")
    log_staff()


def log_staff() -> None:
    """Somebody of the staff has put the contact on hold, and released it."""
    user, _ = User.objects.get_or_create(username="vera")
    owner, neighbour = (
        ContactOwner.objects.get(owner=each) for each in (ADA, NEIGHBOURS[1])
    )
    for row in (owner, owner.contact, *Media.objects.filter(owner=ADA), neighbour):
        LogEntry.objects.log_actions(user.pk, [row], CHANGE, f"Hold {row}")


def erase(*arguments: str) -> tuple[int, str]:
    """The exit code of ``erase_contact``, and what it said."""
    out, err = StringIO(), StringIO()
    try:
        call_command("erase_contact", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def certificate() -> dict[str, Any]:
    return ErasureRequest.objects.get().certificate or {}


def named_in(texts: Iterable[str]) -> list[str]:
    """Those that have Ada's number or name."""
    return [
        text for text in texts if re.search(rf"(?<!\d){NUMBER}(?!\d)|\bAda\b", text)
    ]


def left_of_ada() -> list[str]:
    """Where any row or object still names Ada."""
    return named_in([*_rows(), *_objects()])


def _rows() -> Iterator[str]:
    for model in filter(_has_a_table, apps.get_models()):
        for row in model._base_manager.all():
            yield f"{model.__name__}: {_values(row)}"


def _has_a_table(model: type[models.Model]) -> bool:
    return model._meta.managed


def _values(row: models.Model) -> str:
    values = [getattr(row, field.attname) for field in row._meta.concrete_fields]
    texts = [
        bytes(value).decode(errors="replace")
        if isinstance(value, bytes | memoryview)
        else json.dumps(value, default=str, ensure_ascii=False)
        for value in values
    ]
    return " ".join(texts)


def _objects() -> Iterator[str]:
    storage = media_storage()
    for found in storage.list(""):
        head = storage.head(found.key)
        yield f"object {found.key} {head.metadata if head else ''}"


def others() -> dict[str, list[Any]]:
    """What must not change: all of Bob and of the neighbours."""
    owners = [BOB, *NEIGHBOURS]
    storage = media_storage()
    keys = list(Media.objects.filter(owner__in=owners).values_list("key", flat=True))
    return {
        "contacts": sorted(
            Contact.objects.filter(owners__owner__in=owners).values_list("id", "name")
        ),
        "files": sorted(
            Media.objects.filter(owner__in=owners).values_list("id", "state")
        ),
        "log": sorted(
            LogEntry.objects.filter(
                object_repr__contains=NEIGHBOURS[1].partition(":")[2]
            ).values_list("object_id", "object_repr", "change_message")
        ),
        "objects": sorted((key, storage.head(key)) for key in keys),
    }


def tombstones() -> int:
    return Tombstone.objects.count()
