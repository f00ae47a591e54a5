"""What became of the conversations of a drill. Django is set up for the hub's database by then."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import Count

from media_app import jobs as media_jobs
from media_app.models import AccountPause, Media
from messages_app.models import ContactOwner, Delivery, OutboxItem, PhotoSession
from simulator.ledger import Ledger
from simulator.outcome import examine
from simulator.provider import SimulatedProvider
from simulator.shop import Shop
from simulator.vendor_state import Send

if TYPE_CHECKING:
    from bench.drill_conversations import Conversation

T = TypeVar("T")
Kind, State = OutboxItem.Kind, OutboxItem.State

# A database that was killed takes some seconds to recover.
DATABASE_WITHIN = 60.0


def counts() -> dict[str, int]:
    """How far everything has come, by the drill's columns."""
    return _patiently(_counts)


def left() -> list[str]:
    """What is not done yet, each kind in one sentence; empty when nothing is queued."""
    return _patiently(_left)


def resume_accounts() -> None:
    """What Resume in the admin does, for each account that is paused."""
    for pause in AccountPause.objects.all():
        AccountPause.objects.lift(source=pause.source, account=pause.account)
        files = Media.objects.filter(source=pause.source, account=pause.account)
        files.filter(state=Media.State.RETRYING).retry_now()
        media_jobs.enqueue_fetches()


def problems(
    talks: Sequence[Conversation], provider: SimulatedProvider, shop: Shop
) -> list[str]:
    """Everything that was lost, doubled or left undone, each in one sentence."""
    ledger = Ledger(
        tuple(message for talk in talks for message in talk.customer.ledger.messages)
    )
    contacts = dict(ContactOwner.objects.values_list("owner", "contact_id"))
    sessions = defaultdict(list)
    for session in PhotoSession.objects.exclude(message_ids=[]).prefetch_related(
        "outbox"
    ):
        sessions[session.contact_id].append(session)
    sends = _by_reference(provider)
    found = [*_strangers(sends)]
    for talk in talks:
        number = talk.customer.number
        contact_id = contacts.get(f"whatsapp:{number}")
        own = sessions[contact_id] if contact_id else []
        if len(own) != 1:
            found.append(f"{number} has {len(own)} sessions")
            continue
        found += [f"{number} {problem}" for problem in _session_problems(own[0], talk)]
        found += [
            f"{number} {problem}" for problem in _reply_problems(own[0], talk, sends)
        ]
        found += [
            f"{number} {problem}" for problem in _hand_over_problems(own[0], talk, shop)
        ]
    return [*found, *examine(ledger).problems]


def _counts() -> dict[str, int]:
    replies = OutboxItem.objects.exclude(kind=Kind.HAND_OVER)
    by_state = dict(replies.order_by().values_list("state").annotate(Count("id")))
    return {
        "sent": by_state.get(State.SENT, 0),
        "unknown": by_state.get(State.UNKNOWN, 0),
        "failed": by_state.get(State.FAILED, 0),
        "queued": by_state.get(State.QUEUED, 0) + by_state.get(State.SENDING, 0),
        "unread": Delivery.objects.due().count(),
        "stored": Media.objects.filter(state=Media.State.STORED).count(),
        "waiting": Media.objects.filter(state__in=Media.WAITING).count(),
        "handed over": OutboxItem.objects.filter(
            kind=Kind.HAND_OVER, state=State.SENT
        ).count(),
    }


def _left() -> list[str]:
    waiting = {
        "deliveries are unread": Delivery.objects.due(),
        "replies are queued": OutboxItem.objects.filter(
            state__in=(State.QUEUED, State.SENDING)
        ),
        "files wait": Media.objects.filter(state__in=Media.WAITING),
        "sessions have photos on their way": PhotoSession.objects.filter(
            is_settled=False
        ),
    }
    return [
        f"{count} {what}" for what, rows in waiting.items() if (count := rows.count())
    ]


def _patiently(read: Callable[[], T]) -> T:
    """What can be read of a database that may just have been started again."""
    deadline = time.monotonic() + DATABASE_WITHIN
    while True:
        try:
            return read()
        except DatabaseError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _session_problems(session: PhotoSession, talk: Conversation) -> Iterator[str]:
    if session.state != PhotoSession.State.SUBMITTED:
        yield f"is {session.state}"
    if session.details != talk.details:
        yield f"said {talk.details!r}, and the session has {session.details!r}"


# --- replies --------------------------------------------------------------------


def _by_reference(provider: SimulatedProvider) -> dict[str, list[Send]]:
    """What the provider was asked to send, by our own reference."""
    found: dict[str, list[Send]] = defaultdict(list)
    for send in list(provider.sends):
        body = send.body
        reference = (
            body.get("biz_opaque_callback_data")
            or body["StatusCallback"].rpartition("=")[2]
        )
        found[reference].append(send)
    return found


def _strangers(sends: Mapping[str, Sequence[Send]]) -> Iterator[str]:
    known = {str(id) for id in OutboxItem.objects.values_list("id", flat=True)}
    for reference in sends.keys() - known:
        yield f"a message was sent that no row knows: {sends[reference][0].text!r}"


def _reply_problems(
    session: PhotoSession, talk: Conversation, sends: Mapping[str, Sequence[Send]]
) -> Iterator[str]:
    replies = [item for item in session.outbox.all() if item.kind != Kind.HAND_OVER]
    wanted = {Kind.START, Kind.ACK, Kind.QUESTION, Kind.SUBMITTED}
    if len(talk.answers) > 1:
        wanted.add(Kind.ADD)
    # A correction is right where the count changed after the question.
    kinds = Counter(item.kind for item in replies if item.kind != Kind.CORRECTION)
    if kinds != Counter(wanted):
        yield f"has the replies {sorted(kinds.elements())}, not {sorted(wanted)}"
    for item in replies:
        times = len(sends.get(str(item.id), ()))
        allowed = {State.SENT: {1}, State.UNKNOWN: {0, 1}}.get(
            State(item.state), set[int]()
        )
        if times not in allowed:
            state = (
                f"{item.state} ({item.last_error})" if item.last_error else item.state
            )
            yield f"has the reply {item.kind}, which is {state} and was sent {times} times"


# --- hand-overs -----------------------------------------------------------------


def _hand_over_problems(
    session: PhotoSession, talk: Conversation, shop: Shop
) -> Iterator[str]:
    bodies = defaultdict(list)
    for each in shop.of(talk.customer.number):
        if not each.is_genuine:
            yield f"was handed over as {each.key} with a wrong signature"
        bodies[each.key].append(each.summary)
    for key, summaries in bodies.items():
        if any(summary != summaries[0] for summary in summaries):
            yield f"was handed over as {key} with different bodies"
    items = [item for item in session.outbox.all() if item.kind == Kind.HAND_OVER]
    wanted = {f"{session.id}:{revision}" for revision in range(1, len(items) + 1)}
    if not wanted or bodies.keys() != wanted:
        yield f"was handed over as {sorted(bodies)}, not {sorted(wanted)}"
        return
    last = bodies[f"{session.id}:{len(items)}"][-1]
    digests = sorted(photo["sha256"] for photo in last["photos"])
    announced = sorted(file.sha256 for file in talk.customer.ledger.files)
    # Of a photo that is on its way Twilio has not said the digest.
    if len(digests) != len(announced) or not set(digests) <= {*announced, ""}:
        yield f"was handed over with {len(digests)} photos, not its own {len(announced)}"
    if last["details"] != talk.details or last["state"] != PhotoSession.State.SUBMITTED:
        yield f"was handed over as {last['state']} with {last['details']!r}"
