"""What has to be so before anything is deleted. Each guard raises RefusedError, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from media_app import installation
from media_app.cleanup.plan import FILES, Header, Kind, Plan
from media_app.clock import database_now
from media_app.models import CommandRun, Installation, Media
from media_app.storage import Storage, StorageError
from media_app.timing import CLOCK_TOLERANCE, LONGEST_SILENCE, PLAN_LIFE

# Stored files that are looked for before a plan is applied.
SAMPLE = 50


class RefusedError(Exception):
    """A guard forbids it. The text says why and what to do, without personal data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much may be deleted."""

    number: int = 1000
    percent: float = 5.0


@dataclass(kw_only=True, slots=True)
class Totals:
    """What a run has found; it calls ``advance`` for each file and object."""

    advance: Callable[[], None] = lambda: None

    #: Rows that say stored, and those of them without an object.
    stored: int = 0
    lost: int = 0
    #: Objects with keys of files, and previews.
    objects: int = 0
    previews: int = 0
    #: Things that stay, by the reason.
    left: dict[str, int] = field(default_factory=dict)

    def leave(self, reason: str) -> None:
        self.left[reason] = self.left.get(reason, 0) + 1


def check_place(
    storage: Storage, *, newest: datetime | None, clock_is_right: bool
) -> None:
    """The storage is ours, the database is not empty, and the clocks can be right. ``newest`` is
    the time of the newest message. Raises also StorageError.
    """
    installation.check(storage)
    if not Media.objects.exists():
        raise RefusedError(
            "The database has no files: everything in the storage would seem to be an orphan. "
            "Restore the database, or make its rows again by reconcile_media --adopt."
        )
    now = database_now()
    apart = abs(now - storage.clock())
    if apart > CLOCK_TOLERANCE:
        raise RefusedError(
            f"The clocks of the database and of the storage are {apart} apart. Set the clocks."
        )
    if clock_is_right or newest is None:
        return
    if now - newest > LONGEST_SILENCE:
        raise RefusedError(
            f"The newest message is {(now - newest).days} days old: the database's clock may be "
            "wrong. If it is right, give --clock-is-right."
        )


def check_lost(totals: Totals) -> None:
    """Most of the stored files have their objects."""
    if totals.lost * 2 > totals.stored:
        raise RefusedError(
            f"{totals.lost:,} of {totals.stored:,} stored files are not in the storage. Run "
            "reconcile_media, and repair that first."
        )


def check_sample(storage: Storage) -> None:
    """As ``check_lost``, of a few files; one at which the storage fails counts as lost. Raises also
    StorageError when the storage is down, or is not ours.
    """
    stored = Media.objects.filter(state=Media.State.STORED)
    # Ids are digests, so their order is random.
    keys = stored.order_by("id").values_list("key", flat=True)[:SAMPLE]
    totals = Totals(stored=len(keys))
    totals.lost = sum(not _is_there(storage, key) for key in keys)
    check_lost(totals)


def _is_there(storage: Storage, key: str) -> bool:
    try:
        return storage.head(key) is not None
    except StorageError:
        # Of one object, or of all.
        installation.check(storage)
        return False


def check_plan(plan: Plan) -> None:
    """The plan is of this installation, and as it was written."""
    if plan.header.installation != str(Installation.objects.current()):
        raise RefusedError("The plan is of another installation.")
    runs = CommandRun.objects.filter(command="cleanup_media", plan_digest=plan.digest)
    if not runs.exists():
        raise RefusedError(
            "No run of this database has written this plan, or it was edited. Make another one."
        )


def check_age(plan: Plan) -> None:
    """The plan is not too old."""
    age = database_now() - plan.header.made_at
    if not -CLOCK_TOLERANCE < age < PLAN_LIFE:
        raise RefusedError(
            f"The plan is {age.days} days old, the most is {PLAN_LIFE.days}. Make another one."
        )


def check_limits(plan: Plan, limits: Limits) -> None:
    """The plan does not delete too much."""
    files = sum(plan.counts[kind] for kind in FILES)
    previews = plan.counts[Kind.PREVIEW]
    if files + previews > limits.number:
        raise RefusedError(
            f"The plan deletes {files + previews:,} objects, --max-delete is {limits.number:,}. "
            "Nothing was deleted."
        )
    header = plan.header
    _check_share("files", files, max(header.stored, header.objects), limits.percent)
    _check_share("previews", previews, header.previews, limits.percent)


def _check_share(what: str, number: int, total: int, percent: float) -> None:
    if number * 100 > total * percent:
        raise RefusedError(
            f"The plan deletes {number:,} of {total:,} {what}, --max-delete-percent is "
            f"{percent:g}. Nothing was deleted."
        )


def header_of(totals: Totals) -> Header:
    """The first line of a plan that is made now."""
    return Header(
        installation=str(Installation.objects.current()),
        at=database_now().isoformat(),
        stored=totals.stored,
        objects=totals.objects,
        previews=totals.previews,
    )
