"""The list and the pages of files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from media_app import jobs, queues, signing
from media_app.admin.badges import badge, media_badge, outcome_badge, rescue_clock
from media_app.admin.filters import DayRangeFilter, TypeFilter
from media_app.admin.machine_owned import MachineOwnedAdmin
from media_app.admin.tiles import (
    KINDS,
    group_of,
    progress,
    sender_name,
    thumbnail,
    tile,
)
from media_app.admin.times import in_words, moment_of
from media_app.models import AccountPause, Media
from media_app.previews import can_preview, waiting
from media_app.publication import next_step, public_address, public_bucket

RETRYABLE = (
    Media.State.RETRYING,
    Media.State.EXPIRED,
    Media.State.REJECTED,
    Media.State.MISSING,
)

# A file may be tried for weeks.
MAX_ATTEMPTS = 50
MAX_VIEWINGS = 20
# Links that are shown at once.
MAX_LINKS = 20


@admin.register(Media)
class MediaAdmin(MachineOwnedAdmin):
    list_display = ("picture", "what", "sender", "progress", "sent")
    list_display_links = ("picture", "what")
    list_filter: ClassVar[tuple[Any, ...]] = (
        ("state", ChoicesCheckboxFilter),
        TypeFilter,
        ("occurred_at", DayRangeFilter),
    )
    linked_lookups = (
        "source",
        "account",
        "expires_at__gte",
        "expires_at__lte",
        "public_lease_until__isnull",
    )
    search_fields: ClassVar[tuple[str, ...]] = (
        "owner",
        "key",
        "filename",
        "sha256",
        "id",
    )
    search_help_text = "Number, file name, key, sha256 or id"
    number_field = "owner"
    actions = (
        "retry",
        "remake_previews",
        "make_link",
        "revoke_links",
        "mark_public",
        "mark_private",
    )
    head_template = "admin/media_app/media_head.html"
    foot_template = "admin/media_app/media_foot.html"
    fieldsets = (
        ("Sent", {"fields": ("sender", "sent", "filename", "key")}),
        (
            "Kept",
            {"fields": ("kept_type", "kept_size", "sha256", "stored", "public_copy")},
        ),
        (
            "Fetching",
            {
                "fields": (
                    "state_badge",
                    "last_error",
                    "attempts",
                    "next_attempt",
                    "rescue",
                    "give_up",
                )
            },
        ),
        (
            "As announced",
            {
                "classes": ("collapse",),
                "fields": (
                    *(
                        "id",
                        "source",
                        "account",
                        "provider_message_id",
                        "provider_media_id",
                        "position",
                    ),
                    *(
                        "announced",
                        "announced_type",
                        "announced_size",
                        "announced_sha256",
                        "url",
                        "expires",
                    ),
                ),
            },
        ),
        (
            "Bookkeeping",
            {
                "classes": ("collapse",),
                "fields": (
                    *("failure", "queued", "leased", "unconfirmed_sha256"),
                    *("preview_due", "preview_attempts", "preview_error"),
                ),
            },
        ),
    )

    sent = moment_of("occurred_at", "Sent", assumed="time_assumed")
    stored = moment_of("stored_at", "Stored")
    next_attempt = moment_of("next_attempt_at", "Next attempt")
    give_up = moment_of("give_up_at", "Given up after")
    announced = moment_of("announced_at", "Announced")
    expires = moment_of("expires_at", "Forgotten by the provider")
    queued = moment_of("queued_until", "Queued until")
    leased = moment_of("lease_until", "Claimed until")
    preview_due = moment_of("preview_due_at", "Previews due")

    @admin.action(description="Retry", permissions=["verb"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Try the selected files again, now. Stored and deleted ones stay as they are."""
        chosen = Media.objects.filter(id__in=queryset.values("pk"))
        # Counted first: what is tried again may no longer be among what was selected.
        paused = _of_paused_accounts(chosen.filter(state__in=RETRYABLE))
        tried = chosen.retry_now()
        now = tried - paused
        # A full queue gets no more permits, either; but then some wait in it.
        is_queued = jobs.enqueue_fetches() > 0 or queues.waiting("ingest") > 0
        if not tried:
            self.message_user(
                request,
                "Nothing to try again: none of these files has failed.",
                messages.WARNING,
            )
        if now > 0 and is_queued:
            self.message_user(
                request, f"{_files(now)} will be tried again now.", messages.SUCCESS
            )
        elif now > 0:
            said = (
                f"{_files(now)} will be tried again: the queue is down, the sweeper goes "
                "on when it is back."
            )
            self.message_user(request, said, messages.WARNING)
        if paused:
            said = f"{_files(paused)} will be tried again when the account is no longer paused."
            self.message_user(request, said, messages.WARNING)

    @admin.action(description="Make the preview again", permissions=["verb"])
    def remake_previews(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Let a worker try once more to make previews of files that were given up."""
        asked = waiting.ask_again(queryset)
        if not asked:
            said = "No preview to make again: none of these files was given up."
            self.message_user(request, said, messages.WARNING)
            return
        jobs.enqueue_previews()
        said = (
            f"The previews of {_files(asked)} are made again. Look again in a moment."
        )
        self.message_user(request, said, messages.SUCCESS)

    @admin.action(description="Make a link", permissions=["verb"])
    def make_link(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Show addresses that open the files without a login, for a while."""
        lasts = timedelta(seconds=settings.LINK_TTL_SECONDS)
        files = list(
            Media.objects.filter(
                id__in=queryset.values("pk"), state=Media.State.STORED
            )[: MAX_LINKS + 1]
        )
        if not files:
            self.message_user(
                request,
                "No link: only a stored file can be given out.",
                messages.WARNING,
            )
        for media in files[:MAX_LINKS]:
            said = (
                'Opens <strong>{}</strong> without a login for {}: <a class="given-link" '
                'href="{}">{}</a>'
            )
            name = media.filename or media.key
            url = signing.link(media, lasts=lasts)
            self.message_user(
                request,
                format_html(said, name, in_words(lasts), url, url),
                messages.SUCCESS,
            )
        if len(files) > MAX_LINKS:
            said = f"Links to the first {MAX_LINKS} files. Select fewer to have one for each."
            self.message_user(request, said, messages.WARNING)

    @admin.action(description="Revoke links", permissions=["verb"])
    def revoke_links(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Make all links that were given out for the files open nothing any more."""
        revoked = Media.objects.filter(id__in=queryset.values("pk")).revoke_links()
        said = f"All links to {_files(revoked)} that were given out until now have stopped working."
        self.message_user(request, said, messages.SUCCESS)

    @admin.action(description="Mark public", permissions=["verb"])
    def mark_public(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Let everybody who has the address read a copy of the files."""
        marked = Media.objects.filter(id__in=queryset.values("pk")).mark_public(True)
        said = (
            f"{_files(marked)} will be copied to {settings.R2_PUBLIC_URL}. The page of "
            "each shows its address."
        )
        self._sync_public_copies(request, said)

    @admin.action(description="Mark private", permissions=["verb"])
    def mark_private(self, request: HttpRequest, queryset: QuerySet[Media]) -> None:
        """Remove the public copies of the files."""
        marked = Media.objects.filter(id__in=queryset.values("pk")).mark_public(False)
        said = (
            f"The public copies of {_files(marked)} will be removed. Caches may keep them "
            "for five minutes more."
        )
        self._sync_public_copies(request, said)

    def _sync_public_copies(self, request: HttpRequest, said: str) -> None:
        if jobs.enqueue_public_copies():
            self.message_user(request, said, messages.SUCCESS)
        else:
            said = f"{said} The queue is down: it is done when the queue is back."
            self.message_user(request, said, messages.WARNING)

    def get_actions(self, request: HttpRequest) -> Any:
        """Without a public bucket nothing can be public."""
        actions = super().get_actions(request)
        if not public_bucket():
            actions = {
                verb: action
                for verb, action in actions.items()
                if verb not in ("mark_public", "mark_private")
            }
        return actions

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What is of no interest for this file is left out: how it is fetched, or what is kept of
        it.
        """
        unneeded = (
            "Fetching"
            if obj and obj.is_stored
            else "Kept"
            if obj and obj.stored_at is None
            else ""
        )
        return [
            fieldset
            for fieldset in super().get_fieldsets(request, obj)
            if fieldset[0] != unneeded
        ]

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
        return row.is_stored

    def page_context(self, request: HttpRequest, row: Media) -> dict[str, Any]:
        attempts = row.fetch_attempts.all()
        may_see_viewings = request.user.has_perm("media_app.view_viewing")
        return {
            "viewings": row.viewings.all()[:MAX_VIEWINGS] if may_see_viewings else (),
            "tile": tile(row, sender=self.name_of_sender(row)),
            "attempts": [
                (attempt, outcome_badge(attempt)) for attempt in attempts[:MAX_ATTEMPTS]
            ],
            "attempts_made": attempts.count(),
        }

    def name_of_sender(self, media: Media) -> str:
        """What to call the sender in words."""
        return sender_name(media.owner)

    @admin.display(description="Picture")
    def picture(self, media: Media) -> str:
        return thumbnail(media, sender=self.name_of_sender(media))

    @admin.display(description="File", ordering="size")
    def what(self, media: Media) -> str:
        kind = KINDS[group_of(media)].word
        bytes = media.size if media.size is not None else media.announced_size
        size = f" · {filesizeformat(bytes)}" if bytes is not None else ""
        differs = badge("not as announced", "warn") if media.type_differs else ""
        return format_html(
            '<span class="strong clip">{}</span><span class="subtle">{}{}</span> {}',
            media.filename or kind.capitalize(),
            media.content_type or media.announced_type or "unknown type",
            size,
            differs,
        )

    @admin.display(description="From", ordering="owner")
    def sender(self, media: Media) -> str:
        return sender_name(media.owner)

    @admin.display(description="State", ordering="state")
    def progress(self, media: Media) -> str:
        return progress(media)

    @admin.display(description="State")
    def state_badge(self, media: Media) -> str:
        return media_badge(media)

    @admin.display(description="Type")
    def kept_type(self, media: Media) -> str:
        if media.type_differs:
            return f"{media.content_type} (announced as {media.announced_type})"
        return media.content_type

    @admin.display(description="Size")
    def kept_size(self, media: Media) -> str:
        return (
            f"{filesizeformat(media.size)} ({media.size:,} bytes)"
            if media.size is not None
            else ""
        )

    @admin.display(description="Public copy")
    def public_copy(self, media: Media) -> str:
        if address := public_address(media):
            return format_html('<a href="{}">{}</a>', address, address)
        step = next_step(media, public_bucket())
        if step is None:
            return ""
        # A key without a copy: one is being made, or a part of it has to be removed before.
        is_wanted = media.is_public and media.is_stored and public_bucket()
        what = "It is being made." if is_wanted else "It is being removed."
        return f"{what} {media.public_error}".strip()

    @admin.display(description="Rescue clock")
    def rescue(self, media: Media) -> str:
        clock = rescue_clock(media, timezone.now())
        return badge(clock.text, clock.tone) if clock else ""


def _of_paused_accounts(files: QuerySet[Media]) -> int:
    pauses = AccountPause.objects.in_force().filter(
        source=OuterRef("source"), account=OuterRef("account")
    )
    return files.filter(Exists(pauses)).count()


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
