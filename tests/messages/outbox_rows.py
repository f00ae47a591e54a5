"""Replies and hand-overs that wait, as rows."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from django.db.models.functions import Now

from messages_app.models import OutboxItem, PhotoSession
from simulator.accounts import Accounts
from tests.admin.rows import make_contact, make_reply, make_session

Kind, State = OutboxItem.Kind, OutboxItem.State


def open_session(number: int = 1, **fields: object) -> PhotoSession:
    """One that is still open: sending a reply of it causes nothing more."""
    owner, accounts = f"whatsapp:+1433559000{number}", Accounts()
    values = {
        "account": accounts.meta_phone_number_id,
        "business": accounts.meta_number,
        **fields,
    }
    return make_session(
        make_contact(f"Contact {number}", owner),
        owner=owner,
        state="collecting",
        **values,
    )


def reply(of: PhotoSession, kind: str = Kind.ACK, **fields: object) -> OutboxItem:
    return make_reply(of, kind, State.QUEUED, **fields)


def behind(first: OutboxItem, count: int) -> None:
    """So many more of the session of ``first``, due long before it."""
    OutboxItem.objects.bulk_create(
        OutboxItem(
            id=uuid4(),
            session=first.session,
            kind=first.kind,
            place=first.place + 1 + number,
            revision=first.place + 1 + number,
            caused_at=first.caused_at,
            not_before=Now() - timedelta(hours=1),
        )
        for number in range(count)
    )
