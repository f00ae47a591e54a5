"""Which objects without a file were seen, and since when: none is deleted at first sight."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import models
from django.db.models.functions import Now


class SightingQuerySet(models.QuerySet["Sighting"]):
    def see(self, digests: Collection[str]) -> dict[str, datetime]:
        """Note that these are there now; since when each has been seen."""
        seen = self.filter(digest__in=digests)
        known = set(seen.values_list("digest", flat=True))
        # One run of the command at a time: nobody else inserts them.
        self.bulk_create(Sighting(digest=digest) for digest in {*digests} - known)
        seen.update(seen_at=Now())
        return dict(seen.values_list("digest", "first_seen_at"))

    def forget_unseen(self, since: datetime) -> None:
        """Forget what was not seen since then: it has a file by now, or is gone."""
        self.filter(seen_at__lt=since).delete()


class Sighting(models.Model):
    """An object without a file, by a digest of its key, size and time: another object under the
    same key is another sighting, and no key is kept here.
    """

    digest = models.CharField(primary_key=True, max_length=64, editable=False)
    first_seen_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now(), db_index=True)

    objects = SightingQuerySet.as_manager()

    def __str__(self) -> str:
        return self.digest
