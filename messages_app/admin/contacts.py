"""The list and the pages of people."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from media_app.admin.filters import DayRangeFilter
from media_app.admin.machine_owned import MachineOwnedAdmin, list_url
from media_app.admin.tiles import sender_name, tile
from media_app.admin.times import moment_of
from media_app.models import Media
from messages_app.admin.messages import tiles_of, with_files
from messages_app.models import Attachment, Contact, Message

MAX_FILES = 60
MAX_MESSAGES = 30


@admin.register(Contact)
class ContactAdmin(MachineOwnedAdmin):
    list_display = ("title", "addresses", "file_count", "last_message")
    list_filter = (("last_message_at", DayRangeFilter),)
    search_fields = ("name", "owners__owner", "id")
    search_help_text = "Name or number"
    number_field = "owners__owner"
    head_template = "admin/messages_app/contact_head.html"
    fieldsets = (("Contact", {"fields": ("name", "named", "addresses", "last_message", "id")}),)

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

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        may_view_files = self.may_view(request, Media)
        files = Media.objects.filter(id__in=Attachment.objects.filter(message__contact=row).values("media"))
        messages = with_files(row.messages.all())[:MAX_MESSAGES] if self.may_view(request, Message) else []
        return {
            "tiles": [tile(media, sender=row.name) for media in files[:MAX_FILES]] if may_view_files else [],
            "files_url": list_url(Media, contact=row.pk),
            "files": row.files,
            "messages_said": [(message, tiles_of(message) if may_view_files else []) for message in messages],
            "messages_url": list_url(Message, contact=row.pk),
        }

    @admin.display(description="Name", ordering="name")
    def title(self, contact: Contact) -> str:
        if contact.name:
            return format_html('<span class="strong">{}</span>', contact.name)
        owners = contact.owners.all()
        return sender_name(owners[0].owner) if owners else str(contact.id)

    @admin.display(description="Numbers and hidden ids")
    def addresses(self, contact: Contact) -> str:
        return format_html_join("", '<span class="line">{}</span>', ((str(owner),) for owner in contact.owners.all()))

    @admin.display(description="Files", ordering="files")
    def file_count(self, contact: Any) -> str:
        if not contact.files:
            return "0"
        return format_html('<a class="text-link" href="{}">{}</a>', list_url(Media, contact=contact.pk), contact.files)
