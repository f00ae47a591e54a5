"""Processes that die in the middle of a step, and what others make of what they leave behind."""

from __future__ import annotations

import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, NoReturn

from django.conf import settings
from django.db import connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from django.db.models import F

from media_app import failpoints
from media_app.ingest import ingest_next
from media_app.models import AccountPause, FetchAttempt, Media
from media_app.storage import media_storage
from messages_app import inbox
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Delivery,
    DrainLease,
    Message,
    MessageStatus,
    QuarantinedItem,
)
from simulator.accounts import Accounts
from simulator.content import Kind, content
from simulator.deliveries import SignedRequest, meta_delivery, twilio_delivery
from simulator.ledger import AnnouncedMessage
from tests.messages import mail
from tests.messages.rows import all_rows

#: Those of the simulated provider.
ACCOUNTS = Accounts()
# A child that hangs fails its test instead of all of them.
CHILD_SECONDS = 180
ROUNDS = 10


# --- dying ----------------------------------------------------------------------


def dies_at(point: str, step: Callable[[], object], *, times: int = 1) -> None:
    """Run ``step`` in a process of its own, which must be killed when it gets to the failpoint,
    the first time or a later one.

    Raises AssertionError when it never gets there, or ends in another way.
    """
    _hang_up()
    child = os.fork()
    if child == 0:
        _run_until(point, step, times)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"{point} was not reached"
    assert os.WTERMSIG(status) == signal.SIGKILL, (
        f"{signal.Signals(os.WTERMSIG(status)).name} on the way to {point}"
    )


def _hang_up() -> None:
    """Close all connections of this thread: two processes must not share one."""
    for line in connections.all(initialized_only=True):
        line.close()
        if isinstance(line, PostgreSQL):
            line.close_pool()


def _run_until(point: str, step: Callable[[], object], times: int) -> NoReturn:
    """Never returns: what comes after a fork in a test belongs to the parent."""
    try:
        signal.alarm(CHILD_SECONDS)
        failpoints.arm(point, times=times)
        step()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


# --- and what comes after ---------------------------------------------------------


def an_hour_passes() -> None:
    """All leases, queued jobs, pauses and retries have run out."""
    hour = timedelta(hours=1)
    Media.objects.update(
        lease_until=F("lease_until") - hour,
        queued_until=F("queued_until") - hour,
        next_attempt_at=F("next_attempt_at") - hour,
    )
    AccountPause.objects.update(until=F("until") - hour)
    DrainLease.objects.update(until=F("until") - hour)


def the_lost_are_noticed() -> None:
    """The attempts of workers that were killed are ended, and the next ones are due."""
    an_hour_passes()
    for _ in Media.objects.filter(state=Media.State.FETCHING):
        ingest_next()
    an_hour_passes()


def recover() -> None:
    """What sweepers and workers do anyway, pass by pass, until nothing waits any more."""
    for _ in range(ROUNDS):
        an_hour_passes()
        inbox.drain()
        for _ in Media.objects.claim_unqueued(1000):
            ingest_next()
        if not (
            Delivery.objects.due().exists()
            or Media.objects.filter(state__in=Media.WAITING).exists()
        ):
            return
    raise AssertionError(
        f"still waiting: {list(Media.objects.values('key', 'state', 'last_error'))}"
    )


def end_state() -> dict[str, Any]:
    """All that must be the same however often somebody died: rows, objects, and how often each file
    was stored.

    Without clocks, and without the count of attempts.
    """
    rows = all_rows()
    for row in rows["Media"]:
        del row["attempts"], row["stored_at"]
        row["preview_due_at"] = row["preview_due_at"] is not None
    stored = FetchAttempt.objects.filter(
        outcome=FetchAttempt.Outcome.STORED
    ).values_list("media", flat=True)
    return {
        **rows,
        "Delivery": sorted(
            Delivery.objects.values_list("id", "body", "state", "last_error")
        ),
        "AccountPause": list(
            AccountPause.objects.values_list("source", "account", "cause")
        ),
        "DrainLease": set(DrainLease.objects.values_list("token", "until")),
        "times stored": Counter(stored),
        "objects": objects(),
    }


def objects() -> dict[str, tuple[str, str, dict[str, str]]]:
    """The bucket: digest, type and readable metadata of each object, by key."""
    storage, found = media_storage(), {}
    for listed in storage.list(""):
        head, opened = storage.head(listed.key), storage.open_range(listed.key)
        assert head is not None and opened is not None
        digest = sha256(b"".join(opened.chunks())).hexdigest()
        opened.close()
        named = {
            name: value
            for name, value in (head.metadata or {}).items()
            if name != "record"
        }
        found[listed.key] = (digest, head.content_type, named)
    return found


def delete_everything() -> None:
    """Empty tables and an empty bucket."""
    with transaction.atomic():
        for model in (
            Attachment,
            Message,
            MessageStatus,
            QuarantinedItem,
            Delivery,
            ContactOwner,
            Contact,
        ):
            model._base_manager.all().delete()
        for rows in (FetchAttempt, Media, AccountPause, DrainLease):
            rows._base_manager.all().delete()
    media_storage().delete([found.key for found in media_storage().list("")])


# --- what is sent -----------------------------------------------------------------


def photo(number: int, vendor: str = "meta") -> AnnouncedMessage:
    """The photo with this number, which the simulated provider really has."""
    message = mail.photo(number, provider=vendor)
    assert message.file is not None
    account = (
        ACCOUNTS.twilio_account_sid
        if vendor == "twilio"
        else ACCOUNTS.meta_phone_number_id
    )
    real = content(Kind.PHOTO, number)
    file = replace(message.file, account=account, sha256=real.sha256, size=real.size)
    return replace(message, account=account, file=file)


def album(*photos: AnnouncedMessage) -> SignedRequest:
    """All of them in one delivery by Meta."""
    return meta_delivery(ACCOUNTS, [[photos]])


def twilio(message: AnnouncedMessage) -> SignedRequest:
    return twilio_delivery(
        ACCOUNTS,
        message,
        public_url=settings.PUBLIC_URL,
        api_url=settings.TWILIO_API_URL,
    )
