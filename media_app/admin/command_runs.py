"""What operators' commands did, and when."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html

from media_app.admin.badges import Tone, badge
from media_app.admin.machine_owned import MachineOwnedAdmin
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
    """One row for each run."""

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
