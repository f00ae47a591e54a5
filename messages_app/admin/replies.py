"""The pages of replies and hand-overs: what was sent, what waits, what failed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from media_app.admin.badges import Tone, badge
from media_app.admin.filters import DayRangeFilter
from media_app.admin.machine_owned import MachineOwnedAdmin, change_url
from media_app.admin.times import moment, moment_of, moment_tag
from media_app.models import Media
from messages_app import outbox_queues, outbox_results, reply_windows
from messages_app.admin.cells import contact_link, counted, reason, tell, tell_when
from messages_app.admin.raw import as_text, pretty_json
from messages_app.models import OutboxItem
from messages_app.summaries import without_links

State = OutboxItem.State

_TONES: dict[str, Tone] = {
    State.QUEUED: "busy",
    State.SENDING: "busy",
    State.SENT: "good",
    State.UNKNOWN: "warn",
    State.FAILED: "bad",
}


def reply_badge(item: OutboxItem) -> str:
    tone = _TONES.get(item.state, "quiet")
    if _is_failing(item):
        tone = "warn"
    return badge(item.get_state_display(), tone)


def _is_failing(item: OutboxItem) -> bool:
    """Whether it failed and will be tried again."""
    return bool(item.state == State.QUEUED and item.attempts and item.last_error)


def outcomes(items: Iterable[OutboxItem]) -> list[tuple[str, Tone]]:
    """The states of a session's replies with their numbers, the worst first: ``("1 not sent",
    "bad")``.
    """
    states = [item.state for item in items]
    order = (State.FAILED, State.UNKNOWN, State.SENDING, State.QUEUED, State.SENT)
    return [
        (f"{states.count(state)} {state.label}", _TONES[state])
        for state in order
        if state in states
    ]


def what_was_said(item: OutboxItem) -> str:
    """The text of a reply; of a hand-over the revision and the number of photos."""
    if item.kind == OutboxItem.Kind.HAND_OVER:
        if not item.said:
            return f"Revision {item.revision}"
        photos = item.said.get("counts", {}).get("photos", 0)
        return f"Revision {item.revision}, {counted(photos, 'photo', 'photos')}"
    text: str = item.said.get("text", "")
    if not text and item.state == State.QUEUED:
        return "not written yet"
    return text or "nothing"


def when(item: OutboxItem) -> datetime:
    """When it was sent, else when it was tried last, else when it was caused."""
    return item.sent_at or item.sending_at or item.caused_at


def may_go_again(item: OutboxItem, now: datetime) -> bool:
    """Whether staff may send it again: a reply only as long as its contact may be answered."""
    is_in_time = item.kind == OutboxItem.Kind.HAND_OVER or reply_windows.is_open(
        item.session, now
    )
    return item.state in (State.FAILED, State.UNKNOWN) and is_in_time


def advice(item: OutboxItem, now: datetime) -> str:
    """What the item's state means and what to do, in sentences; "" where nothing is to be done."""
    is_hand_over = item.kind == OutboxItem.Kind.HAND_OVER
    if _is_failing(item):
        check = ""
        if is_hand_over:
            check = " Check SESSION_WEBHOOK_URL, and what answers there."
        next_attempt = moment(item.not_before)
        return f"It is tried again by itself: the next attempt is due at {next_attempt}.{check}"
    if item.state not in (State.FAILED, State.UNKNOWN):
        return ""
    if not may_go_again(item, now):
        return (
            "It is too late to send it again. Once the contact writes, they can be "
            "answered; or call them."
        )
    if is_hand_over:
        return (
            "Once the business's address answers again, press Send again: it is sent with "
            "the same content and key."
        )
    if item.state == State.UNKNOWN:
        return (
            "If the contact went on as if they had read it, leave it. With Send again they "
            "may get it twice."
        )
    return "Once the reason is fixed, press Send again. Later replies were sent without it."


@admin.register(OutboxItem)
class OutboxItemAdmin(MachineOwnedAdmin):
    list_display = ("title", "state_badge", "said_shortly", "to", "happened", "reason")
    list_display_links = ("title",)
    list_filter = (
        ("state", ChoicesCheckboxFilter),
        ("kind", ChoicesCheckboxFilter),
        ("caused_at", DayRangeFilter),
    )
    search_fields = (
        "session__contact__name",
        "session__owner",
        "provider_message_id",
        "session__id",
        "id",
    )
    search_help_text = "Name, number or id, also the session's"
    number_field = "session__owner"
    ordering = ("-caused_at", "-place", "id")
    actions = ("send_again",)
    head_template = "admin/messages_app/reply_head.html"
    fieldsets = (
        ("Reply", {"fields": ("title", "said_fully", "to", "session_link")}),
        (
            "Sending",
            {
                "fields": (
                    "state_badge",
                    "last_error",
                    "attempts",
                    "caused",
                    "next_attempt",
                    "tried",
                    "sent",
                )
            },
        ),
        (
            "Bookkeeping",
            {
                "classes": ("collapse",),
                "fields": ("provider_message_id", "revision", "place", "id"),
            },
        ),
    )

    caused = moment_of("caused_at", "Caused")
    next_attempt = moment_of("not_before", "Not before")
    tried = moment_of("sending_at", "Last tried")
    sent = moment_of("sent_at", "Sent")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("session__contact")

    @admin.action(description="Send again", permissions=["verb"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutboxItem]) -> None:
        """Send the selected replies once more, where they failed or their result is unknown."""
        items = OutboxItem.objects.filter(id__in=queryset.values("pk")).select_related(
            "session"
        )
        now = datetime.now(UTC)
        again = sum(
            outbox_results.send_again(item) for item in items if may_go_again(item, now)
        )
        if not again:
            text = (
                "Nothing is sent again: only what was not sent, or perhaps not, can be; "
                "and a reply only within 24 hours of the contact's last message."
            )
            tell(self, request, text, is_good=False)
            return
        tell_of_sending(self, request, counted(again, "reply is", "replies are"))

    def offers(self, verb: str, row: OutboxItem) -> bool:
        return may_go_again(row, datetime.now(UTC))

    def page_context(self, request: HttpRequest, row: OutboxItem) -> dict[str, Any]:
        tone: Tone = "warn"
        if row.state == State.FAILED:
            tone = "bad"
        return {"advice": advice(row, datetime.now(UTC)), "tone": tone}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The data of a hand-over is for those who may open its photos. Its links are made when
        it is sent.
        """
        fieldsets = super().get_fieldsets(request, obj)
        if (
            obj
            and obj.kind == OutboxItem.Kind.HAND_OVER
            and obj.said
            and may_give_links(self, request)
        ):
            return [
                *fieldsets,
                (
                    "As the business gets it",
                    {"classes": ("collapse",), "fields": ("data",)},
                ),
            ]
        return fieldsets

    @admin.display(description="Kind", ordering="kind")
    def title(self, item: OutboxItem) -> str:
        return item.get_kind_display().capitalize()

    @admin.display(description="State", ordering="state")
    def state_badge(self, item: OutboxItem) -> str:
        return reply_badge(item)

    @admin.display(description="Said")
    def said_shortly(self, item: OutboxItem) -> str:
        return format_html('<span class="clip said">{}</span>', what_was_said(item))

    @admin.display(description="Said")
    def said_fully(self, item: OutboxItem) -> str:
        return what_was_said(item)

    @admin.display(description="To", ordering="session__owner")
    def to(self, item: OutboxItem) -> str:
        if item.kind == OutboxItem.Kind.HAND_OVER:
            return "the business"
        return contact_link(item.session.contact, item.session.owner)

    @admin.display(description="When", ordering="caused_at")
    def happened(self, item: OutboxItem) -> str:
        return moment_tag(when(item))

    @admin.display(description="Reason")
    def reason(self, item: OutboxItem) -> str:
        return reason(item.last_error)

    @admin.display(description="Session")
    def session_link(self, item: OutboxItem) -> str:
        return format_html(
            '<a class="text-link" href="{}">{}</a>',
            change_url(item.session),
            item.session,
        )

    @admin.display(description="Data")
    def data(self, item: OutboxItem) -> str:
        return as_text(pretty_json(without_links(item.said)))


def may_give_links(admin_: MachineOwnedAdmin, request: HttpRequest) -> bool:
    """Whether this user may see addresses that open files without a login."""
    media_admin = admin_.admin_site.get_model_admin(Media)
    return bool(media_admin.has_verb_permission(request))  # type: ignore[attr-defined]


def tell_of_sending(admin_: MachineOwnedAdmin, request: HttpRequest, what: str) -> None:
    """Enqueue the senders, and say when ``what`` (``1 reply is``) is sent again."""
    is_enqueued = outbox_queues.enqueue_senders()
    tell_when(admin_, request, f"{what} sent again", is_enqueued=is_enqueued)
