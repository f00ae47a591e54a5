"""What staff can do with files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from media_app import jobs, queues, signing
from media_app.admin.deleting import DeletingActions, files, is_restorable
from media_app.admin.times import in_words
from media_app.models import AccountPause, Media
from media_app.previews import can_preview, waiting
from media_app.publication import public_bucket

RETRYABLE = (
    Media.State.RETRYING,
    Media.State.EXPIRED,
    Media.State.REJECTED,
    Media.State.MISSING,
)
# Links that are shown at once.
MAX_LINKS = 20


class MediaActions(DeletingActions):
    """The actions of the list and of each page."""

    actions = (
        "retry",
        "remake_previews",
        "make_link",
        "revoke_links",
        "mark_public",
        "mark_private",
        "delete_files",
        "restore_files",
    )

    @admin.action(description="Retry", permissions=["verb"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Try the selected files again, now. Stored and deleted ones stay as they are."""
        chosen = Media.objects.filter(id__in=queryset.values("pk"))
        # Counted first: what is tried again may no longer be among what was selected.
        paused = _of_paused_accounts(chosen.filter(state__in=RETRYABLE))
        tried = chosen.retry_now()
        now = tried - paused
        # A full queue takes no more jobs; but then some wait in it.
        is_queued = jobs.enqueue_fetches() > 0 or queues.waiting("ingest") > 0
        if not tried:
            text = "Nothing to try again: none of these files has failed."
            self.message_user(request, text, messages.WARNING)
        if now > 0 and is_queued:
            text = f"{files(now)} will be tried again now."
            self.message_user(request, text, messages.SUCCESS)
        elif now > 0:
            text = (
                f"{files(now)} will be tried again: the queue is down, the sweeper goes "
                "on when it is back."
            )
            self.message_user(request, text, messages.WARNING)
        if paused:
            text = f"{files(paused)} will be tried again when the account is no longer paused."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Make the preview again", permissions=["verb"])
    def remake_previews(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Let a worker try once more to make previews of files that were given up."""
        asked = waiting.request_again(queryset)
        if not asked:
            text = "No preview to make again: none of these files was given up."
            self.message_user(request, text, messages.WARNING)
            return
        jobs.enqueue_previews()
        text = f"The previews of {files(asked)} are made again. Look again in a moment."
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description="Make a link", permissions=["verb"])
    def make_link(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Show addresses that open the files without a login, for a while."""
        lasts = timedelta(seconds=settings.LINK_TTL_SECONDS)
        chosen = Media.objects.filter(id__in=queryset.values("pk"))
        stored = list(chosen.filter(state=Media.State.STORED)[: MAX_LINKS + 1])
        if not stored:
            text = "No link: only a stored file can be given out."
            self.message_user(request, text, messages.WARNING)
        for media in stored[:MAX_LINKS]:
            url = signing.link(media, lasts=lasts)
            shown = format_html(
                'Opens <strong>{}</strong> without a login for {}: <a class="given-link" '
                'href="{}">{}</a>',
                media.filename or media.key,
                in_words(lasts),
                url,
                url,
            )
            self.message_user(request, shown, messages.SUCCESS)
        if len(stored) > MAX_LINKS:
            text = f"Links to the first {MAX_LINKS} files. Select fewer to have one for each."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Revoke links", permissions=["verb"])
    def revoke_links(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Make all links that were given out for the files open nothing any more."""
        revoked = Media.objects.filter(id__in=queryset.values("pk")).revoke_links()
        text = f"All links to {files(revoked)} that were given out until now have stopped working."
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description="Mark public", permissions=["verb"])
    def mark_public(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Let everybody who has the address read a copy of the files."""
        marked = Media.objects.filter(id__in=queryset.values("pk")).mark_public(True)
        text = (
            f"{files(marked)} will be copied to {settings.R2_PUBLIC_URL}. The page of "
            "each shows its address."
        )
        self._sync_public_copies(request, text)

    @admin.action(description="Mark private", permissions=["verb"])
    def mark_private(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Remove the public copies of the files."""
        marked = Media.objects.filter(id__in=queryset.values("pk")).mark_public(False)
        text = (
            f"The public copies of {files(marked)} will be removed. Caches may keep them "
            "for five minutes more."
        )
        self._sync_public_copies(request, text)

    def _sync_public_copies(self, request: HttpRequest, text: str) -> None:
        if jobs.enqueue_public_copies():
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = f"{text} The queue is down: it is done when the queue is back."
            self.message_user(request, text, messages.WARNING)

    def get_actions(self, request: HttpRequest) -> Any:
        """Without a public bucket nothing can be public."""
        actions = super().get_actions(request)
        if public_bucket():
            return actions
        return {
            verb: action
            for verb, action in actions.items()
            if verb not in ("mark_public", "mark_private")
        }

    def offers(self, verb: str, row: Media) -> bool:
        if verb == "retry":
            return row.state in RETRYABLE
        if verb == "remake_previews":
            return (
                can_preview(row)
                and bool(row.preview_error)
                and row.preview_due_at is None
            )
        if verb in ("mark_public", "mark_private"):
            return row.is_stored and row.is_public == (verb == "mark_private")
        if verb == "delete_files":
            return row.state != Media.State.DELETED
        if verb == "restore_files":
            return is_restorable(row)
        return row.is_stored


def _of_paused_accounts(failed: QuerySet[Media]) -> int:
    pauses = AccountPause.objects.in_force().filter(
        source=OuterRef("source"), account=OuterRef("account")
    )
    return failed.filter(Exists(pauses)).count()
