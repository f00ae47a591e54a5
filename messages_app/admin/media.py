"""The pages of files, with the messages they came in: media_app's admin knows no messages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery, UUIDField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from media_app.admin import MediaAdmin
from media_app.admin.tiles import sender_name
from media_app.models import Media, MediaQuerySet
from messages_app.admin.bubbles import Bubble, bubbles, with_files
from messages_app.admin.cells import address_below
from messages_app.admin.filters import MediaContactFilter
from messages_app.models import ContactOwner, Message
from messages_app.retention import without_held

MAX_MESSAGES = 20

admin.site.unregister(Media)


@admin.register(Media)
class MediaWithMessagesAdmin(MediaAdmin):
    list_filter = (*MediaAdmin.list_filter, MediaContactFilter)
    search_fields = (*MediaAdmin.search_fields, "contact_name")
    search_help_text = "Name, number, file name, key or id"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        contact = ContactOwner.objects.filter(owner=OuterRef("owner"))
        files = super().get_queryset(request)
        named: QuerySet[Any] = files.annotate(
            sender_id=Subquery(
                contact.values("contact_id")[:1], output_field=UUIDField()
            ),
            contact_name=Subquery(contact.values("contact__name")[:1]),
        )
        return named

    def deletable(self, files: MediaQuerySet) -> MediaQuerySet:
        return without_held(files)

    def name_of_sender(self, media: Any) -> str:
        return media.contact_name or super().name_of_sender(media)

    @admin.display(description="From", ordering="owner")
    def sender(self, media: Any) -> str:
        number = sender_name(media.owner)
        if media.sender_id is None:
            return number
        return format_html(
            '<a class="text-link" href="{}">{}</a><span class="subtle">{}</span>',
            reverse("admin:messages_app_contact_change", args=[media.sender_id]),
            media.contact_name or number,
            address_below(media.contact_name, number),
        )

    def page_context(self, request: HttpRequest, row: Media) -> dict[str, Any]:
        return {
            **super().page_context(request, row),
            "sent_in": self._sent_in(request, row),
        }

    def _sent_in(self, request: HttpRequest, media: Media) -> list[Bubble]:
        if not self.may_view(request, Message):
            return []
        messages = with_files(
            Message.objects.filter(attachments__media=media).distinct()
        )
        return bubbles(messages[:MAX_MESSAGES], may_view_files=True)
