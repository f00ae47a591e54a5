"""The pages of conversations whose sessions are not rebuilt yet."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from media_app.admin.machine_owned import MachineOwnedAdmin, change_url
from media_app.admin.times import moment_of
from messages_app import outbox_queues, rebuilds
from messages_app.models import SessionRebuild


@admin.register(SessionRebuild)
class SessionRebuildAdmin(MachineOwnedAdmin):
    list_display = ("since_when", "contact_link", "reason", "attempts", "next_attempt")
    list_display_links = ("since_when",)
    search_fields = ("contact__name", "contact__owners__owner", "error")
    search_help_text = "Name, number or error"
    number_field = "contact__owners__owner"
    actions = ("retry",)
    fieldsets = (
        (
            "Conversation",
            {
                "fields": (
                    "contact_link",
                    "business",
                    "provider",
                    "account",
                    "since_when",
                )
            },
        ),
        ("Attempts", {"fields": ("reason", "attempts", "next_attempt", "created")}),
    )

    since_when = moment_of("since", "First message left out")
    next_attempt = moment_of("not_before", "Next attempt")
    created = moment_of("created_at", "Since")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("contact")

    @admin.action(description="Retry", permissions=["verb"])
    def retry(self, request: HttpRequest, queryset: QuerySet[SessionRebuild]) -> None:
        """Rebuild the sessions of the selected conversations now. Messages and files are stored
        in any case.
        """
        ids = list(queryset.values_list("pk", flat=True))
        SessionRebuild.objects.filter(id__in=ids).retry_now()
        if rebuilds.rebuild_due():
            outbox_queues.enqueue_senders()
        left = SessionRebuild.objects.filter(id__in=ids).count()
        if left:
            self.message_user(
                request,
                f"{left} of {len(ids)} could not be rebuilt. The log says why.",
                messages.WARNING,
            )
        else:
            self.message_user(
                request, "The sessions contain all messages.", messages.SUCCESS
            )

    @admin.display(description="Contact", ordering="contact__name")
    def contact_link(self, row: SessionRebuild) -> str:
        return format_html(
            '<a class="text-link" href="{}">{}</a>',
            change_url(row.contact),
            row.contact,
        )

    @admin.display(description="Error", ordering="error")
    def reason(self, row: SessionRebuild) -> str:
        if row.error:
            return format_html('<span class="reason">{}</span>', row.error)
        if row.attachment_id:
            return "It waits for a file whose type is not known yet."
        return ""
