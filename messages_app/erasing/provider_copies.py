"""What the providers themselves still have of a person: deleted there as far as their APIs allow.

Best effort: whatever does not work is counted, and stops nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db.models import QuerySet

from media_app.parallel import Parallel
from messages_app.erasing.person import Person
from messages_app.erasing.run import Run
from messages_app.models import Attachment, OutboxItem
from messages_app.providers import PROVIDERS
from messages_app.providers.sending import SendError

BATCH = 100
WORKERS = 4


@dataclass(frozen=True, slots=True)
class _Copy:
    """One message at its provider, with those files of it that nobody else has."""

    id: UUID
    provider: str
    account: str
    message_id: str
    media_ids: tuple[str, ...]


def delete_provider_copies(run: Run) -> int:
    """Ask for each message once, also after a kill. Returns 0: the hub itself loses nothing."""
    silent: set[str] = set()
    left = iter(sorted(_copies(run.person), key=lambda copy: copy.id))
    asked_until = run.request.asked_until
    remaining = (copy for copy in left if asked_until is None or copy.id > asked_until)
    while batch := list(islice(remaining, BATCH)):
        run.go_on()
        counts: Counter[str] = Counter()
        asked = [copy for copy in batch if copy.provider not in silent]
        counts["provider_copies_kept"] += len(batch) - len(asked)
        with Parallel(_delete, WORKERS) as parallel:
            for copy, outcome in parallel.results(asked):
                if outcome is None:
                    silent.add(copy.provider)
                    outcome = Counter(kept=1 + len(copy.media_ids))
                for name, number in outcome.items():
                    counts[f"provider_copies_{name}"] += number
        run.request.add_counts(counts, asked_until=batch[-1].id)
    return 0


def _delete(copy: _Copy) -> tuple[_Copy, Counter[str] | None]:
    """None: the provider does not answer, or refuses our credentials."""
    try:
        outcome = PROVIDERS[copy.provider].delete_copies(
            copy.account, copy.message_id, copy.media_ids
        )
    except SendError:
        return copy, None
    return copy, outcome


def _copies(person: Person) -> Iterator[_Copy]:
    files = person.files().exclude(provider_media_id="")
    attached = Attachment.objects.filter(
        message__in=person.messages().values("id"), media__in=files.values("id")
    )
    by_message: dict[UUID, list[str]] = {}
    for message, media in attached.values_list("message", "media__provider_media_id"):
        by_message.setdefault(message, []).append(media)
    fields = ("id", "provider", "account", "provider_message_id")
    known = person.messages().filter(provider__in=PROVIDERS)
    for id, provider, account, message_id in known.values_list(*fields):
        media_ids = tuple(by_message.get(id, ()))
        yield _Copy(id, provider, account, message_id, media_ids)
    for item in _sent_replies(person).select_related("session"):
        session = item.session
        yield _Copy(
            item.id, session.provider, session.account, item.provider_message_id, ()
        )


def _sent_replies(person: Person) -> QuerySet[OutboxItem]:
    replies = OutboxItem.objects.filter(session__in=person.sessions())
    return replies.exclude(provider_message_id="")
