"""Whether the storage is the one that belongs to this database.

A folder that is not mounted looks like an empty one, and so does another bucket: all files would be
missing, fetched again, and expired where the provider has deleted them. So a marker in the root of
the storage holds the id of the installation. Where it is missing or differs, the storage counts as
down.
"""

from __future__ import annotations

import logging
import time
from weakref import WeakKeyDictionary

from media_app.models import Installation, Media
from media_app.storage import ObjectExistsError, Storage, StorageError, probing_storage

log = logging.getLogger(__name__)

# A bucket that passed a check is not checked again for so long.
BUCKET_TRUSTED_SECONDS = 10.0
# When each bucket passed its last check, by the monotonic clock.
_passed: WeakKeyDictionary[Storage, float] = WeakKeyDictionary()

# Stored files that are looked for in a storage without a marker. Most of them must be there.
SAMPLE = 20

_WHAT_TO_DO = (
    "Nothing is fetched or deleted until it is back. If it is the right one and "
    "complete, run `manage.py mark_storage`"
)


class ForeignStorageError(StorageError):
    """The storage is not the one that this installation keeps its files in."""


def check(storage: Storage) -> None:
    """Raise ForeignStorageError where the storage does not carry this installation's marker. Also
    raises StorageError.

    One small read from the storage, and one from the database. The first time, the marker is
    written: if no file is stored yet, or most of those in a sample are there.
    """
    installation = Installation.objects.current()
    found = storage.marker()
    if found is None and installation.marked_at is None and _holds_our_files(storage):
        found = _written(storage, installation)
    if found is None:
        raise ForeignStorageError(
            "The storage has no marker of this installation: the folder is not mounted, or it "
            "is another bucket. "
            f"{_WHAT_TO_DO}."
        )
    if found != str(installation):
        raise ForeignStorageError(
            f"The storage belongs to another installation ({found}). {_WHAT_TO_DO} --replace."
        )
    if installation.marked_at is None:
        Installation.objects.note_marked()


def check_recently(storage: Storage) -> None:
    """``check``, unless the storage is a bucket that passed it within BUCKET_TRUSTED_SECONDS.

    For work that is repeated for each file. Before treating an absent object as lost, call
    ``check``.
    """
    now = time.monotonic()
    passed = _passed.get(storage)
    is_recent = passed is not None and now - passed < BUCKET_TRUSTED_SECONDS
    if is_recent and not storage.may_be_replaced:
        return
    check(storage)
    _passed[storage] = now


def problem(storage: Storage) -> str:
    """What is wrong with the storage, as a text for staff; "" when it answers and is ours."""
    try:
        check(storage)
    except StorageError as error:
        return str(error)
    return ""


def write_marker(storage: Storage, *, replace: bool = False) -> bool:
    """Make this storage ours, by order of the operator; False when it is already.

    Raises ForeignStorageError when it is another installation's and ``replace`` is not given. Also
    raises StorageError.
    """
    installation = Installation.objects.current()
    found = storage.marker()
    is_new = found != str(installation)
    if found is not None and is_new and not replace:
        raise ForeignStorageError(
            f"The storage belongs to another installation ({found})."
        )
    if is_new:
        storage.write_marker(str(installation), replace=replace)
    Installation.objects.note_marked()
    return is_new


def write_marker_at_migration(**kwargs: object) -> None:
    """Write the marker once the tables are there. Where that fails, the first use tries again."""
    # Emptying the tables (`manage.py flush`) sends the same signal, without a plan.
    if "plan" not in kwargs:
        return
    try:
        # With short timeouts: migrating must not wait for a bucket that is down.
        check(probing_storage())
    except Exception as error:
        log.warning(
            "the storage is not marked yet",
            extra={"error": f"{type(error).__name__}: {error}"},
        )


def _holds_our_files(storage: Storage) -> bool:
    stored = Media.objects.filter(state=Media.State.STORED)
    # Ids are digests, so their order is random.
    sample = list(stored.order_by("id").values_list("key", flat=True)[:SAMPLE])
    there = sum(storage.head(key) is not None for key in sample)
    return not sample or 2 * there > len(sample)


def _written(storage: Storage, installation: Installation) -> str | None:
    try:
        storage.write_marker(str(installation))
    except ObjectExistsError:
        # Another process was faster; or another installation.
        return storage.marker()
    log.info("the storage is marked", extra={"installation": str(installation)})
    return str(installation)
