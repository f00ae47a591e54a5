"""The list and the pages of messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from unfold.views import ChangeList

from media_app.admin.badges import badge
from media_app.admin.filters import DayRangeFilter
from media_app.admin.machine_owned import MachineOwnedAdmin, change_url
from media_app.admin.tiles import sender_name
from media_app.admin.times import moment_of
from media_app.models import Media
from messages_app.admin.bubbles import bubbles, group_url, name_of_contact, with_files
from messages_app.admin.cells import address_below
from messages_app.admin.deliveries import delivery_link
from messages_app.admin.filters import ContactFilter, GroupFilter, KindFilter
from messages_app.admin.quotes import kind_in_words
from messages_app.admin.raw import as_text, pretty_json
from messages_app.models import Message, MessageStatus, OutboxItem, PhotoSession

# A message on WhatsApp has one file; on other channels it may have more.
MAX_IN_LIST = 4
# In a group each participant has steps.
MAX_STEPS = 200


class MessageList(ChangeList):
    """A page of the list, which renders all its messages with a few queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: Iterable[Any] = self.result_list
        admin_: Any = self.model_admin
        may_view_replies = admin_.may_view(request, OutboxItem)
        shown = bubbles(rows, may_view_files=True, may_view_replies=may_view_replies)
        for row, bubble in zip(rows, shown, strict=True):
            row.bubble = bubble


@admin.register(Message)
class MessageAdmin(MachineOwnedAdmin):
    list_display = (
        "files",
        "said",
        "kind_shown",
        "direction",
        "sender",
        "sent",
        "delivery_link",
    )
    list_display_links = ("said",)
    list_filter = (
        KindFilter,
        "direction",
        "origin",
        ("occurred_at", DayRangeFilter),
        ContactFilter,
        GroupFilter,
    )
    search_fields = (
        "contact__name",
        "owner",
        "text",
        "provider_message_id",
        "group_id",
        "id",
    )
    search_help_text = "Name, number, text or id"
    number_field = "owner"
    head_template = "admin/messages_app/message_head.html"
    fieldsets = (
        ("Said", {"fields": ("kind_shown", "payload", "refers_to", "sent")}),
        (
            "From and to",
            {
                "fields": (
                    *(
                        "direction",
                        "origin",
                        "sender",
                        "owner",
                        "group_id",
                        "business",
                        "provider",
                        "account",
                    ),
                    "session_link",
                )
            },
        ),
        (
            "Received",
            {"fields": ("received", "delivery_link", "provider_message_id", "id")},
        ),
        (
            "As the provider sent it",
            {"classes": ("collapse",), "fields": ("raw_message",)},
        ),
    )

    sent = moment_of("occurred_at", "Sent", assumed="time_assumed")
    received = moment_of("received_at", "Received")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_files(super().get_queryset(request)).defer("raw")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return MessageList

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if self.may_view(request, Media):
            return columns
        return [name for name in columns if name != "files"]

    def page_context(self, request: HttpRequest, row: Message) -> dict[str, Any]:
        (bubble,) = bubbles(
            [row],
            may_view_files=self.may_view(request, Media),
            may_view_replies=self.may_view(request, OutboxItem),
        )
        steps: list[MessageStatus] = []
        if self.may_view(request, MessageStatus):
            steps = _steps(row)
        return {"bubble": bubble, "steps": steps}

    @admin.display(description="Files")
    def files(self, message: Any) -> str:
        tiles = message.bubble.tiles
        context = {"tiles": tiles[:MAX_IN_LIST], "more": len(tiles[MAX_IN_LIST:])}
        return render_to_string("admin/messages_app/strip.html", context)

    @admin.display(description="Message")
    def said(self, message: Any) -> str:
        return render_to_string(
            "admin/messages_app/said.html", {"bubble": message.bubble}
        )

    @admin.display(description="Kind", ordering="kind")
    def kind_shown(self, message: Message) -> str:
        return kind_in_words(message)

    @admin.display(description="Contact", ordering="owner")
    def sender(self, message: Message) -> str:
        number = ""
        if not message.is_sent:
            number = sender_name(message.owner)
        url = group_url(message)
        group = ""
        if url:
            group = format_html('<a class="text-link" href="{}">In a group</a>', url)
        if message.contact is None:
            return format_html("{} {}", number, group)
        return format_html(
            '<a class="text-link" href="{}"><bdi>{}</bdi></a><span class="subtle">{}</span> {}',
            change_url(message.contact),
            name_of_contact(message),
            address_below(message.contact.name, number),
            group,
        )

    @admin.display(description="Session")
    def session_link(self, message: Message) -> str:
        session = _session_of(message)
        if session:
            return format_html(
                '<a class="text-link" href="{}">{}</a>', change_url(session), session
            )
        return ""

    @admin.display(description="Delivery")
    def delivery_link(self, message: Message) -> str:
        if message.delivery_id:
            return delivery_link(message.delivery_id)
        return ""

    @admin.display(description="Raw")
    def raw_message(self, message: Message) -> str:
        return as_text(pretty_json(message.raw))


def _steps(message: Message) -> list[MessageStatus]:
    """The statuses of a message of the business, the first one first."""
    return list(
        MessageStatus.objects.filter(message_id=message.id).order_by(
            "rank", "occurred_at", "id"
        )[:MAX_STEPS]
    )


def _session_of(message: Message) -> PhotoSession | None:
    """The session that the message is a part of. It is looked up by contact and time."""
    around = PhotoSession.objects.filter(
        contact=message.contact_id,
        started_at__lte=message.occurred_at,
        last_at__gte=message.occurred_at,
    )
    return next(
        (session for session in around if str(message.id) in session.message_ids), None
    )


@admin.register(MessageStatus)
class MessageStatusAdmin(MachineOwnedAdmin):
    list_display = (
        "status_badge",
        "sent",
        "sent_to",
        "provider_message_id",
        "category",
        "error",
    )
    list_filter = (("occurred_at", DayRangeFilter),)
    search_fields = (
        "recipient",
        "group_id",
        "provider_message_id",
        "message_id",
        "reference",
        "error",
    )
    search_help_text = "Number, message id, our reference or error"
    number_field = "recipient"
    fieldsets = (
        (
            None,
            {"fields": ("status", "sent", "sent_to", "group_id", "category", "error")},
        ),
        (
            "Message",
            {"fields": ("provider_message_id", "message_id", "reference", "id")},
        ),
    )

    sent = moment_of("occurred_at", "At")

    @admin.display(description="To", ordering="recipient")
    def sent_to(self, status: MessageStatus) -> str:
        words = [sender_name(status.recipient)]
        if status.group_id:
            words.append("in a group")
        return " ".join(word for word in words if word)

    @admin.display(description="Status", ordering="status")
    def status_badge(self, status: MessageStatus) -> str:
        return badge(status.status, "bad" if status.error else "quiet")
