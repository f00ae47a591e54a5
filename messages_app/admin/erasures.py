"""Requests to erase a person: how far each has come, and its certificate."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html

from media_app.admin.badges import Tone, badge
from media_app.admin.machine_owned import MachineOwnedAdmin
from media_app.admin.times import moment_of, moment_tag
from media_app.identity import owner_name
from messages_app.models import ErasureRequest

State = ErasureRequest.State

TONES: dict[str, Tone] = {
    State.RUNNING: "busy",
    State.WAITING: "warn",
    State.DONE: "good",
}


@admin.register(ErasureRequest)
class ErasureRequestAdmin(MachineOwnedAdmin):
    """The person stands here only until the end."""

    list_display = (
        "requested",
        "state_badge",
        "due",
        "reason",
        "counted",
        "requested_by",
        "ended",
    )
    list_filter = ("state",)
    search_fields = ("id", "requested_by")
    search_help_text = "Id of the request, or who asked for it"
    fieldsets = (
        (
            "The request",
            {"fields": ("id", "people", "requested_by", "requested", "until_when")},
        ),
        (
            "Its outcome",
            {"fields": ("state_badge", "due", "reason", "counted", "ended")},
        ),
        ("Certificate", {"fields": ("certified",)}),
    )

    requested = moment_of("requested_at", "Requested")
    until_when = moment_of("until", "What reached the hub until")
    ended = moment_of("ended_at", "Done")

    @admin.display(description="State", ordering="state")
    def state_badge(self, request: ErasureRequest) -> str:
        return badge(request.get_state_display(), TONES.get(request.state, "warn"))

    @admin.display(description="Due", ordering="due_at")
    def due(self, request: ErasureRequest) -> str:
        if not request.is_done and request.due_at < timezone.now():
            return format_html(
                "{} {}", moment_tag(request.due_at), badge("overdue", "bad")
            )
        return moment_tag(request.due_at)

    @admin.display(description="Whom")
    def people(self, request: ErasureRequest) -> str:
        if request.is_done:
            return "erased"
        return ", ".join(map(owner_name, request.owners))

    @admin.display(description="Erased")
    def counted(self, request: ErasureRequest) -> str:
        return ", ".join(
            f"{number:,} {name.replace('_', ' ')}"
            for name, number in request.counts.items()
        )

    @admin.display(description="Certificate")
    def certified(self, request: ErasureRequest) -> str:
        if request.certificate is None:
            return ""
        text = json.dumps(request.certificate, indent=2, ensure_ascii=False)
        return format_html("<pre>{}</pre>", text)
