"""The list of files, and the page of one."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from media_app.admin.badges import badge, media_badge, outcome_badge, rescue_clock
from media_app.admin.filters import DayRangeFilter, TypeFilter
from media_app.admin.media_actions import MediaActions
from media_app.admin.tiles import (
    KINDS,
    group_of,
    progress,
    sender_name,
    thumbnail,
    tile,
)
from media_app.admin.times import moment_of
from media_app.models import Media
from media_app.publication import next_step, public_address, public_bucket

# A file may be tried for weeks.
MAX_ATTEMPTS = 50
MAX_VIEWINGS = 20


@admin.register(Media)
class MediaAdmin(MediaActions):
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
    head_template = "admin/media_app/media_head.html"
    foot_template = "admin/media_app/media_foot.html"
    fieldsets = (
        ("Sent", {"fields": ("sender", "sent", "filename", "key")}),
        (
            "Stored",
            {
                "fields": (
                    *("kept_type", "kept_size", "sha256", "stored", "public_copy"),
                    *("restorable", "purged"),
                )
            },
        ),
        ("Details", {"fields": ("shown_details",)}),
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
    restorable = moment_of("purge_after", "Can be restored until")
    purged = moment_of("purged_at", "Object removed")
    next_attempt = moment_of("next_attempt_at", "Next attempt")
    give_up = moment_of("give_up_at", "Given up after")
    announced = moment_of("announced_at", "Announced")
    expires = moment_of("expires_at", "Deleted by the provider")
    queued = moment_of("queued_until", "Queued until")
    leased = moment_of("lease_until", "Claimed until")
    preview_due = moment_of("preview_due_at", "Previews due")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leaves out how a stored file was fetched, what is stored of one that never was, and the
        details of one that has none.
        """
        hidden: set[str] = set()
        if obj and obj.is_stored:
            hidden.add("Fetching")
        elif obj and obj.stored_at is None:
            hidden.add("Stored")
        if obj and not obj.details:
            hidden.add("Details")
        fieldsets = super().get_fieldsets(request, obj)
        return [fieldset for fieldset in fieldsets if fieldset[0] not in hidden]

    def page_context(self, request: HttpRequest, row: Media) -> dict[str, Any]:
        attempts = row.fetch_attempts.all()
        viewings: Any = ()
        if request.user.has_perm("media_app.view_viewing"):
            viewings = row.viewings.all()[:MAX_VIEWINGS]
        return {
            "viewings": viewings,
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
        bytes = media.announced_size if media.size is None else media.size
        size, differs = "", ""
        if bytes is not None:
            size = f" · {filesizeformat(bytes)}"
        if media.type_differs:
            differs = badge("not as announced", "warn")
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
        if media.size is None:
            return ""
        return f"{filesizeformat(media.size)} ({media.size:,} bytes)"

    @admin.display(description="As imported")
    def shown_details(self, media: Media) -> str:
        return format_html_join(
            "",
            '<p><span class="strong">{}</span>{}</p>',
            sorted(media.details.items()),
        )

    @admin.display(description="Public copy")
    def public_copy(self, media: Media) -> str:
        if address := public_address(media):
            return format_html('<a href="{}">{}</a>', address, address)
        step = next_step(media, public_bucket())
        if step is None:
            return ""
        # A key without a copy: one is being made, or an incomplete one has to be removed first.
        text = "It is being removed."
        if media.is_public and media.is_stored and public_bucket():
            text = "It is being made."
        return f"{text} {media.public_error}".strip()

    @admin.display(description="Rescue clock")
    def rescue(self, media: Media) -> str:
        clock = rescue_clock(media, timezone.now())
        return badge(clock.text, clock.tone) if clock else ""
