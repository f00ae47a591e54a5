"""Paused accounts: why, until when, and what to do about it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from media_app import jobs
from media_app.admin.badges import Tone, badge
from media_app.admin.machine_owned import MachineOwnedAdmin, list_url
from media_app.admin.times import moment, moment_of
from media_app.models import AccountPause, Media
from media_app.sources import source
from media_app.sources.base import Wording

TONES: dict[str, Tone] = {
    AccountPause.Cause.UNAUTHORIZED: "bad",
    AccountPause.Cause.THROTTLED: "warn",
}


def _wording(pause: AccountPause) -> Wording:
    try:
        return source(pause.source).wording
    except ValueError:
        # Of a source that was removed.
        return Wording(name=pause.source)


def headline(pause: AccountPause) -> str:
    """What is wrong, in a sentence."""
    wording = _wording(pause)
    of = f"{wording.account} {pause.account}"
    if pause.cause == AccountPause.Cause.THROTTLED:
        return f"{wording.name} asks {of} to slow down."
    return f"{wording.name} refuses {wording.credentials} for {of}."


def advice(pause: AccountPause, waiting: int) -> str:
    """What follows from it and what to do, in sentences. ``waiting`` counts its files that wait."""
    wording = _wording(pause)
    files = {0: "No file waits", 1: "1 file waits"}.get(
        waiting, f"{waiting} files wait"
    )
    if pause.cause == AccountPause.Cause.THROTTLED:
        return (
            f"{files}. There is nothing to do: fetching goes on by itself at "
            f"{moment(pause.until)}."
        )
    return (
        f"{files} since {moment(pause.since)}. Set {wording.setting}, restart the hub's "
        "processes and press Resume. "
        f"From {moment(pause.until)} on one file is tried by itself."
    )


def files_url(pause: AccountPause) -> str:
    """The list of the files that wait for it."""
    return list_url(
        Media, state__exact=Media.WAITING, source=pause.source, account=pause.account
    )


@admin.register(AccountPause)
class AccountPauseAdmin(MachineOwnedAdmin):
    """A part of how files are fetched: whoever may see, or try again, those may do so here."""

    list_display = ("title", "cause_badge", "said", "began", "next_try")
    list_display_links = ("title",)
    search_fields = ("account", "reason")
    search_help_text = "Account or reason"
    actions = ("resume",)
    head_template = "admin/media_app/pause_head.html"
    fieldsets = (
        ("The pause", {"fields": ("cause_badge", "reason", "began", "next_try")}),
        ("The account", {"fields": ("source", "account", "files")}),
    )

    began = moment_of("since", "Since")
    next_try = moment_of("until", "Next try")

    def has_view_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return super().has_view_permission(request, obj) or self.may_view(
            request, Media
        )

    def has_verb_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return super().has_verb_permission(request, obj) or request.user.has_perm(
            "media_app.change_media"
        )

    @admin.action(description="Resume", permissions=["verb"])
    def resume(self, request: HttpRequest, queryset: QuerySet[AccountPause]) -> None:
        """Fetch the files of the selected accounts again, now. If they are refused once more, they
        pause once more.
        """
        for pause in AccountPause.objects.filter(id__in=queryset.values("pk")):
            AccountPause.objects.lift(source=pause.source, account=pause.account)
            # Those that were refused wait for their next attempt, which is now.
            Media.objects.filter(
                source=pause.source, account=pause.account, state=Media.State.RETRYING
            ).retry_now()
            wording = _wording(pause)
            said = (
                f"Files of {wording.name}'s {wording.account} {pause.account} are "
                "fetched again."
            )
            self.message_user(request, said, messages.SUCCESS)
        jobs.enqueue_fetches()

    def page_context(self, request: HttpRequest, row: AccountPause) -> dict[str, Any]:
        return {
            "headline": headline(row),
            "advice": advice(row, _waiting(row)),
            "tone": TONES.get(row.cause, "bad"),
        }

    @admin.display(description="Account", ordering="account")
    def title(self, pause: AccountPause) -> str:
        wording = _wording(pause)
        return f"{wording.name} {pause.account}"

    @admin.display(description="Cause", ordering="cause")
    def cause_badge(self, pause: AccountPause) -> str:
        return badge(pause.get_cause_display(), TONES.get(pause.cause, "bad"))

    @admin.display(description="What was said")
    def said(self, pause: AccountPause) -> str:
        return format_html('<span class="reason">{}</span>', pause.reason)

    @admin.display(description="Files that wait")
    def files(self, pause: AccountPause) -> str:
        return format_html(
            '<a class="text-link" href="{}">{}</a>', files_url(pause), _waiting(pause)
        )


def _waiting(pause: AccountPause) -> int:
    return Media.objects.filter(
        source=pause.source, account=pause.account, state__in=Media.WAITING
    ).count()
