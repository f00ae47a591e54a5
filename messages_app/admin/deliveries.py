"""The pages of deliveries: their bodies, what could not be read of them, and notices."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Length
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from media_app.admin.badges import Tone, badge
from media_app.admin.filters import DayRangeFilter
from media_app.admin.machine_owned import MachineOwnedAdmin, change_url
from media_app.admin.times import moment_of
from messages_app import jobs
from messages_app.admin.cells import counted, reason, tell_when
from messages_app.admin.raw import as_text, pretty_body, pretty_json
from messages_app.models import (
    Delivery,
    DeliveryNotice,
    DeliveryQuerySet,
    Message,
    QuarantinedItem,
)

# A delivery may bring a thousand messages.
MAX_SHOWN = 100

_TONES: dict[str, Tone] = {
    Delivery.State.RECEIVED: "busy",
    Delivery.State.PROCESSED: "good",
    Delivery.State.PARTIAL: "warn",
    Delivery.State.FAILED: "bad",
}


def replay(
    admin_: MachineOwnedAdmin, request: HttpRequest, deliveries: DeliveryQuerySet
) -> None:
    """Have deliveries read again, and say so."""
    text = counted(deliveries.replay(), "delivery is", "deliveries are")
    tell_when(admin_, request, f"{text} read again", is_enqueued=jobs.enqueue_drain())


def delivery_link(id: str) -> str:
    return format_html(
        '<a class="text-link" href="{}">{}…</a>',
        reverse("admin:messages_app_delivery_change", args=[id]),
        id[:8],
    )


@admin.register(Delivery)
class DeliveryAdmin(MachineOwnedAdmin):
    list_display = (
        "received",
        "endpoint",
        "state_badge",
        "unread",
        "error",
        "seen",
        "size",
    )
    list_display_links = ("received", "endpoint")
    list_filter = (("state", ChoicesCheckboxFilter), ("received_at", DayRangeFilter))
    search_fields = (
        "id",
        "endpoint",
        "last_error",
        "messages__provider_message_id",
        "messages__owner",
    )
    search_help_text = "Number, message id or delivery id"
    number_field = "messages__owner"
    actions = ("replay",)
    head_template = "admin/messages_app/delivery_head.html"
    fieldsets = (
        ("Reading", {"fields": ("state_badge", "attempts", "last_error", "erased")}),
        ("Body", {"fields": ("pretty",)}),
        (
            "Received",
            {
                "fields": (
                    "endpoint",
                    "received",
                    "seen",
                    "last_seen",
                    "content_type",
                    "query",
                    "id",
                )
            },
        ),
    )

    erased = moment_of("erased_at", "Parts erased")
    received = moment_of("received_at", "Received")
    last_seen = moment_of("last_seen_at", "Last seen")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        unread = (
            QuarantinedItem.objects.filter(delivery=OuterRef("pk"))
            .order_by()
            .values("delivery")
            .annotate(items=Count("pk"))
            .values("items")
        )
        # Without the bodies: those of one page of the list may be hundreds of megabytes.
        rows = super().get_queryset(request).defer("body")
        measured: QuerySet[Any] = rows.annotate(
            bytes=Length("body"), items_unread=Coalesce(Subquery(unread), 0)
        )
        return measured

    def page_context(self, request: HttpRequest, row: Delivery) -> dict[str, Any]:
        read = row.messages.defer("raw").order_by("occurred_at", "id")
        if not self.may_view(request, Message):
            read = read.none()
        unread = row.quarantined.order_by("path")
        if not self.may_view(request, QuarantinedItem):
            unread = unread.none()
        return {
            "read": [(change_url(message), message) for message in read[:MAX_SHOWN]],
            "unread": [(change_url(item), item) for item in unread[:MAX_SHOWN]],
        }

    @admin.action(description="Replay", permissions=["verb"])
    def replay(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Read the selected deliveries again from their raw bytes. What is there already stays the
        same.
        """
        replay(self, request, Delivery.objects.filter(id__in=queryset.values("pk")))

    @admin.display(description="State", ordering="state")
    def state_badge(self, delivery: Delivery) -> str:
        return badge(delivery.get_state_display(), _TONES.get(delivery.state, "quiet"))

    @admin.display(description="Unreadable parts", ordering="items_unread")
    def unread(self, delivery: Any) -> str:
        return str(delivery.items_unread or "")

    @admin.display(description="Error")
    def error(self, delivery: Delivery) -> str:
        return reason(delivery.last_error)

    @admin.display(description="Times seen", ordering="times_seen")
    def seen(self, delivery: Delivery) -> str:
        return str(delivery.times_seen)

    @admin.display(description="Size", ordering="bytes")
    def size(self, delivery: Any) -> str:
        return filesizeformat(delivery.bytes)

    @admin.display(description="Body")
    def pretty(self, delivery: Delivery) -> str:
        return as_text(pretty_body(bytes(delivery.body), delivery.content_type))


@admin.register(QuarantinedItem)
class QuarantinedItemAdmin(MachineOwnedAdmin):
    list_display = ("title", "reason", "delivery_link", "found")
    list_filter = (("found_at", DayRangeFilter),)
    search_fields = ("path", "error", "delivery__id")
    search_help_text = "Path, error or delivery id"
    actions = ("replay",)
    fieldsets = (
        ("Could not be read", {"fields": ("title", "error", "found", "delivery_link")}),
        ("As it came", {"fields": ("pretty",)}),
    )

    found = moment_of("found_at", "Found")

    @admin.action(description="Replay", permissions=["verb"])
    def replay(self, request: HttpRequest, queryset: QuerySet[QuarantinedItem]) -> None:
        """Read the deliveries of the selected parts again. What can be read now leaves the
        quarantine.
        """
        replay(
            self, request, Delivery.objects.filter(id__in=queryset.values("delivery"))
        )

    @admin.display(description="Part", ordering="path")
    def title(self, item: QuarantinedItem) -> str:
        return str(item)

    @admin.display(description="Error", ordering="error")
    def reason(self, item: QuarantinedItem) -> str:
        return reason(item.error)

    @admin.display(description="Delivery")
    def delivery_link(self, item: QuarantinedItem) -> str:
        return delivery_link(item.delivery_id)

    @admin.display(description="Payload")
    def pretty(self, item: QuarantinedItem) -> str:
        return as_text(pretty_json(item.payload))


@admin.register(DeliveryNotice)
class DeliveryNoticeAdmin(MachineOwnedAdmin):
    list_display = ("title", "times", "has_media", "delivery_link", "found")
    list_filter = ("name", "has_media", ("found_at", DayRangeFilter))
    search_fields = ("name", "error", "delivery__id")
    search_help_text = "Name, error or delivery id"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "title",
                    "error",
                    "times",
                    "has_media",
                    "delivery_link",
                    "found",
                )
            },
        ),
    )

    found = moment_of("found_at", "Found")

    @admin.display(description="Notice", ordering="name")
    def title(self, notice: DeliveryNotice) -> str:
        return str(notice)

    @admin.display(description="Delivery")
    def delivery_link(self, notice: DeliveryNotice) -> str:
        return delivery_link(notice.delivery_id)
