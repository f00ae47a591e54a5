"""The list and the pages of contacts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from media_app.admin.badges import badge
from media_app.admin.filters import DayRangeFilter
from media_app.admin.machine_owned import MachineOwnedAdmin, list_url
from media_app.admin.tiles import Tile, sender_name, tile
from media_app.admin.times import moment_of
from media_app.models import Media
from messages_app.admin.bubbles import bubbles, standing_alone, with_files
from messages_app.admin.cells import counted, tell
from messages_app.admin.session_cards import session_cards
from messages_app.models import Attachment, Contact, Message, OutboxItem, PhotoSession

MAX_FILES = 60
MAX_MESSAGES = 30
MAX_SESSIONS = 10


@admin.register(Contact)
class ContactAdmin(MachineOwnedAdmin):
    list_display = ("title", "addresses", "file_count", "last_message")
    list_filter = (("last_message_at", DayRangeFilter),)
    search_fields = ("name", "owners__owner", "id")
    search_help_text = "Name or number"
    number_field = "owners__owner"
    actions = ("hold", "release_hold")
    head_template = "admin/messages_app/contact_head.html"
    fieldsets = (
        (
            "Contact",
            {"fields": ("name", "named", "addresses", "last_message", "held", "id")},
        ),
    )

    last_message = moment_of("last_message_at", "Last message")
    named = moment_of("named_at", "Name last seen")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        files = (
            Attachment.objects.filter(message__contact=OuterRef("pk"))
            .order_by()
            .values("message__contact")
            .annotate(files=Count("media", distinct=True))
            .values("files")
        )
        contacts = super().get_queryset(request).prefetch_related("owners")
        counted: QuerySet[Any] = contacts.annotate(files=Coalesce(Subquery(files), 0))
        return counted

    @admin.action(description="Hold", permissions=["verb"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Contact]) -> None:
        """Keep all that the selected contacts sent from being deleted."""
        held = Contact.objects.filter(id__in=queryset.values("pk")).hold(True)
        if not held:
            tell(self, request, "They are on hold already.", is_good=False)
            return
        text = (
            f"{counted(held, 'contact is', 'contacts are')} on hold: nothing that they sent "
            "is deleted, not even when they ask for it by RESET."
        )
        tell(self, request, text, is_good=True)

    @admin.action(description="Release hold", permissions=["verb"])
    def release_hold(self, request: HttpRequest, queryset: QuerySet[Contact]) -> None:
        """Let what the selected contacts sent be deleted again."""
        released = Contact.objects.filter(id__in=queryset.values("pk")).hold(False)
        if not released:
            tell(self, request, "They are not on hold.", is_good=False)
            return
        text = (
            f"{counted(released, 'contact is', 'contacts are')} no longer on hold: from now "
            "on what they sent is deleted when they ask for it."
        )
        tell(self, request, text, is_good=True)

    def offers(self, verb: str, row: Contact) -> bool:
        return row.is_held == (verb == "release_hold")

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        may_view_files = self.may_view(request, Media)
        files = Media.objects.filter(
            id__in=Attachment.objects.filter(message__contact=row).values("media")
        )
        rows = standing_alone(row.messages.all())
        if not self.may_view(request, Message):
            rows = rows.none()
        sessions = row.sessions.select_related("contact")
        if not self.may_view(request, PhotoSession):
            sessions = sessions.none()
        tiles: list[Tile] = []
        if may_view_files:
            tiles = [tile(media, sender=row.name) for media in files[:MAX_FILES]]
        return {
            "tiles": tiles,
            "files_url": list_url(Media, contact=row.pk),
            "files": row.files,
            "bubbles": bubbles(
                with_files(rows)[:MAX_MESSAGES],
                may_view_files=may_view_files,
                may_view_replies=self.may_view(request, OutboxItem),
            ),
            "sessions": session_cards(sessions[:MAX_SESSIONS]),
            "may_view_files": may_view_files,
            "sessions_url": list_url(PhotoSession, contact=row.pk),
            "messages_url": list_url(Message, contact=row.pk),
        }

    @admin.display(description="Name", ordering="name")
    def title(self, contact: Contact) -> str:
        held = ""
        if contact.is_held:
            held = badge("on hold", "warn")
        if contact.name:
            return format_html(
                '<span class="strong"><bdi>{}</bdi></span>{}', contact.name, held
            )
        addresses = (sender_name(owner.owner) for owner in contact.owners.all())
        return format_html("{}{}", next(addresses, str(contact.id)), held)

    @admin.display(description="Numbers and hidden ids")
    def addresses(self, contact: Contact) -> str:
        return format_html_join(
            "",
            '<span class="line">{}</span>',
            ((str(owner),) for owner in contact.owners.all()),
        )

    @admin.display(description="Hold")
    def held(self, contact: Contact) -> str:
        if contact.is_held:
            return f"On hold. {Contact._meta.get_field('is_held').help_text}"
        return ""

    @admin.display(description="Files", ordering="files")
    def file_count(self, contact: Any) -> str:
        if not contact.files:
            return "0"
        return format_html(
            '<a class="text-link" href="{}">{}</a>',
            list_url(Media, contact=contact.pk),
            contact.files,
        )
