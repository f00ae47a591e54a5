"""Alerts about files and the accounts that they are fetched with."""

from __future__ import annotations

from media_app.admin import pauses
from media_app.admin.machine_owned import change_url, list_url
from media_app.admin.times import in_words
from media_app.models import AccountPause, Media
from mediahub.alerts.alert import Alert, Link, counted
from mediahub.alerts.overdue import OVERDUE, OVERDUE_BEHIND_OTHERS, overdue
from mediahub.status import GIVEN_UP, LATELY, RETRYABLE, Status


def paused(status: Status, pause: AccountPause) -> Alert:
    return Alert(
        tone=pauses.TONES.get(pause.cause, "bad"),
        headline=pauses.headline(pause),
        advice=f"{pause.reason} {pauses.advice(pause, status.waiting_for(pause))}",
        links=(
            Link("The paused account", change_url(pause), AccountPause),
            Link("Its files", pauses.files_url(pause), Media),
        ),
    )


def nobody_fetches(status: Status) -> Alert | None:
    # Without a queue no worker is told: that is said above, with the age.
    limit = OVERDUE
    if status.in_progress:
        limit = OVERDUE_BEHIND_OTHERS
    if status.queue_error or not (waited := overdue(status, status.due_since, limit)):
        return None
    if status.in_progress:
        headline = (
            f"{counted(status.due, 'file waits', 'files wait')} for a worker, the "
            f"first for {waited}."
        )
        advice = (
            f"{counted(status.in_progress, 'other is', 'others are')} being fetched. If that "
            "goes on, the provider or the bucket is slow, or more came than the workers can "
            "fetch: start more of them (--ingest)."
        )
    else:
        headline = f"A file has waited {waited} for a worker."
        advice = (
            "Check that the worker and the sweeper run. After a large burst more "
            "workers help."
        )
    return Alert(
        tone="bad",
        headline=headline,
        advice=advice,
        links=(
            Link(
                "Files on their way", list_url(Media, state__exact=Media.WAITING), Media
            ),
        ),
    )


def running_out(status: Status) -> Alert | None:
    if not status.running_out or status.first_runs_out is None:
        return None
    files = counted(status.running_out, "file", "files")
    left = in_words(status.first_runs_out - status.at)
    until = status.at + LATELY
    url = list_url(
        Media,
        state__exact=RETRYABLE,
        expires_at__gte=status.first_runs_out.isoformat(),
        expires_at__lte=until.isoformat(),
    )
    return Alert(
        tone="bad",
        headline=f"The provider forgets {files} within 24 hours.",
        advice=f"Time runs out in {left}. Fix the cause, then press Retry.",
        links=(Link("These files", url, Media),),
        is_now=False,
    )


def missing(status: Status) -> Alert | None:
    if not (count := status.count(Media.State.MISSING)):
        return None
    return Alert(
        tone="bad",
        headline=f"{counted(count, 'file is', 'files are')} missing from storage.",
        advice="Retry fetches again what the provider still has.",
        links=(
            Link(
                "These files", list_url(Media, state__exact=Media.State.MISSING), Media
            ),
        ),
        is_now=False,
    )


def given_up(status: Status) -> Alert | None:
    if not status.given_up_lately:
        return None
    return Alert(
        tone="warn",
        headline=f"{counted(status.given_up_lately, 'file was', 'files were')} given up in "
        "the last 24 hours.",
        advice="The list says why. The sender may send them again.",
        links=(Link("Files given up", list_url(Media, state__exact=GIVEN_UP), Media),),
        is_now=False,
    )


def copies_not_removed(status: Status) -> Alert | None:
    if not status.unremoved:
        return None
    return Alert(
        tone="bad",
        headline=f"{counted(status.unremoved, 'file is', 'files are')} no longer public, but "
        "the copy is still there.",
        advice=f"{status.public_error}. Whoever knows the address can read it. It is tried "
        "again every five minutes: make sure that the hub's keys may delete in the public bucket.",
        links=(
            Link(
                "Files with a public copy",
                list_url(Media, public_lease_until__isnull=0),
                Media,
            ),
        ),
    )


def copies_not_made(status: Status) -> Alert | None:
    if not status.uncopied:
        return None
    return Alert(
        tone="warn",
        headline=f"{counted(status.uncopied, 'public file', 'public files')} could not be copied.",
        advice=f"{status.public_error}. It is tried again every five minutes: make sure that "
        "R2_PUBLIC_BUCKET exists, and that the hub's keys may write to it.",
        links=(
            Link("These files", list_url(Media, public_lease_until__isnull=0), Media),
        ),
        is_now=False,
    )
