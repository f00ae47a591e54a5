"""What staff can do to delete files, and to bring them back."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from media_app import jobs
from media_app.admin.machine_owned import MachineOwnedAdmin
from media_app.models import Media, MediaQuerySet
from media_app.restoring import Restored, restore
from media_app.storage import StorageError
from media_app.timing import DELETED_FILES_WAIT

# A restoration reads the whole object: no more are begun after so long.
RESTORING_SECONDS = 20.0


class DeletingActions(MachineOwnedAdmin):
    """Verbs that take the permission to delete files."""

    def has_deleting_permission(
        self, request: HttpRequest, obj: Media | None = None
    ) -> bool:
        return request.user.has_perm("media_app.delete_media")

    def deletable(self, files: MediaQuerySet) -> MediaQuerySet:
        """Those of the files that may be deleted."""
        return files

    @admin.action(description="Delete", permissions=["deleting"])
    def delete_files(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the selected files. Their objects are kept for a while."""
        chosen = Media.objects.filter(id__in=queryset.values("pk"))
        undeleted = chosen.exclude(state=Media.State.DELETED)
        kept = undeleted.count() - self.deletable(undeleted).count()
        deleted = self.deletable(undeleted).mark_deleted(
            f"Deleted by {request.user}.", wait=DELETED_FILES_WAIT
        )
        if deleted:
            # What was never stored need not wait; public copies are removed.
            jobs.enqueue_purge()
            text = (
                f"Deleted: {files(deleted)}. What was stored can be restored for "
                f"{DELETED_FILES_WAIT.days} days."
            )
            self.message_user(request, text, messages.SUCCESS)
        if kept:
            text = f"Not deleted: {files(kept)} of contacts on hold."
            self.message_user(request, text, messages.WARNING)
        if not deleted and not kept:
            text = "Nothing to delete: these files are deleted already."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Restore", permissions=["deleting"])
    def restore_files(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Bring deleted files back whose objects are still there."""
        chosen = Media.objects.filter(id__in=queryset.values("pk")).restorable()
        ids = list(chosen.values_list("id", flat=True))
        results: list[Restored] = []
        until = time.monotonic() + RESTORING_SECONDS
        try:
            for id in ids:
                if time.monotonic() > until:
                    break
                results.append(restore(id))
        except StorageError as error:
            self.message_user(request, f"Not restored: {error}", messages.ERROR)
        self._tell_restored(request, results, left=len(ids) - len(results))

    def _tell_restored(
        self, request: HttpRequest, results: list[Restored], *, left: int
    ) -> None:
        if restored := results.count(Restored.STORED):
            text = f"Restored: {files(restored)}."
            self.message_user(request, text, messages.SUCCESS)
        if lost := results.count(Restored.MISSING):
            text = f"Missing: {files(lost)}. The object is gone, or is not as it was stored."
            self.message_user(request, text, messages.ERROR)
        if left:
            text = f"Still deleted: {files(left)}. Restore them again."
            self.message_user(request, text, messages.WARNING)
        elif not restored and not lost:
            text = "Nothing to restore: no object of these files is kept any more."
            self.message_user(request, text, messages.WARNING)


def is_restorable(media: Media) -> bool:
    """As ``MediaQuerySet.restorable``, for what a page offers."""
    return (
        media.state == Media.State.DELETED
        and media.purged_at is None
        and media.purge_after is not None
        and media.purge_after > timezone.now()
    )


def files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
