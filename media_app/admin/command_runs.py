"""What operators' commands did, and when."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from media_app import command_jobs
from media_app.admin.badges import Tone, badge
from media_app.admin.machine_owned import MachineOwnedAdmin, list_url
from media_app.admin.times import moment_of
from media_app.models import CommandRun

TONES: dict[str, Tone] = {
    CommandRun.State.RUNNING: "busy",
    CommandRun.State.DONE: "good",
    CommandRun.State.PARTLY: "warn",
    CommandRun.State.FAILED: "bad",
    CommandRun.State.REFUSED: "warn",
    CommandRun.State.INTERRUPTED: "warn",
}


@admin.register(CommandRun)
class CommandRunAdmin(MachineOwnedAdmin):
    """One row for each run, and buttons that start the commands which do no harm."""

    # The stubs take its default for its type.
    list_before_template = "admin/media_app/command_starts.html"  # type: ignore[assignment]
    foot_template = "admin/media_app/command_lines.html"

    list_display = (
        "command",
        "state_badge",
        "arguments",
        "counted",
        "started_by",
        "began",
        "ended",
    )
    list_filter = ("state", "command")
    search_fields = ("command", "started_by", "plan_digest")
    search_help_text = "Command, who started it, or the digest of a plan"
    fieldsets = (
        (
            "The run",
            {"fields": ("command", "arguments", "started_by", "began", "ended")},
        ),
        (
            "Its outcome",
            {"fields": ("state_badge", "reason", "counted", "plan_digest")},
        ),
    )

    began = moment_of("started_at", "Started")
    ended = moment_of("ended_at", "Ended")

    @admin.display(description="State", ordering="state")
    def state_badge(self, run: CommandRun) -> str:
        return badge(run.get_state_display(), TONES.get(run.state, "warn"))

    @admin.display(description="Counts")
    def counted(self, run: CommandRun) -> str:
        counts = (
            f"{number:,} {name.replace('_', ' ')}"
            for name, number in run.counts.items()
        )
        return format_html("{}", ", ".join(counts))

    def get_urls(self) -> list[URLPattern]:
        start = path(
            "start/<slug:command>/",
            self.admin_site.admin_view(self.start),
            name="start_command",
        )
        return [start, *super().get_urls()]

    def start(self, request: HttpRequest, command: str) -> HttpResponse:
        """Let a worker run a command."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_verb_permission(request):
            raise PermissionDenied
        if command not in settings.STAFF_COMMANDS:
            raise Http404("There is no such command.")
        running = CommandRun.objects.filter(
            command=command, state=CommandRun.State.RUNNING, lease_until__gt=Now()
        )
        if running.exists():
            self.message_user(request, f"{command} runs already.", messages.WARNING)
        elif command_jobs.enqueue(command, request.user.get_username()):
            _log_start(request, command)
            text = f"{command} starts as soon as a worker is free."
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = f"The queue is down: {command} was not started."
            self.message_user(request, text, messages.ERROR)
        return redirect(list_url(CommandRun))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        starts = []
        if self.has_verb_permission(request):
            starts = [
                {"label": label, "url": reverse("admin:start_command", args=[command])}
                for command, label in settings.STAFF_COMMANDS.items()
            ]
        context = {**(extra_context or {}), "starts": starts}
        return super().changelist_view(request, context)

    def page_context(self, request: HttpRequest, row: CommandRun) -> dict[str, Any]:
        return {"lines": row.lines}


def _log_start(request: HttpRequest, command: str) -> None:
    LogEntry.objects.create(
        user_id=request.user.pk or 0,
        content_type=ContentType.objects.get_for_model(CommandRun),
        object_repr=command,
        action_flag=ADDITION,
        change_message=f"Start {command}",
    )
