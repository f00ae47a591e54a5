"""The list and the pages of photo sessions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from media_app.admin.badges import badge
from media_app.admin.filters import DayRangeFilter
from media_app.admin.machine_owned import MachineOwnedAdmin, change_url
from media_app.admin.tiles import Tile, sender_name
from media_app.admin.times import moment_of
from media_app.models import Media
from messages_app import outbox_queues, outbox_results, rebuilds
from messages_app.admin.cells import contact_link, counted, tell
from messages_app.admin.filters import ContactFilter
from messages_app.admin.replies import (
    may_give_links,
    outcomes,
    reply_badge,
    tell_of_sending,
    what_was_said,
    when,
)
from messages_app.admin.session_cards import (
    SessionList,
    State,
    session_badge,
    session_cards,
)
from messages_app.admin.session_summary import summary_text
from messages_app.models import OutboxItem, PhotoSession

# A contact who chats while photos are expected gets a hint each minute.
MAX_REPLIES = 200


@admin.register(PhotoSession)
class PhotoSessionAdmin(MachineOwnedAdmin):
    list_display = (
        "pictures",
        "photos",
        "contact_link",
        "state_badge",
        "outcome",
        "started",
        "last_message",
    )
    list_display_links = ("photos",)
    list_filter = (
        ("state", ChoicesCheckboxFilter),
        ("started_at", DayRangeFilter),
        ContactFilter,
    )
    search_fields = ("contact__name", "contact__owners__owner", "id")
    search_help_text = "Name, number or id"
    number_field = "contact__owners__owner"
    actions = ("close", "cancel", "resend_summary")
    head_template = "admin/messages_app/session_head.html"
    fieldsets = (
        (
            "Conversation",
            {"fields": ("contact_link", "owner", "business", "provider", "account")},
        ),
        (
            "Course",
            {
                "fields": (
                    "started",
                    "last_message",
                    "done",
                    "ended",
                    "unanswered",
                    "decided",
                    "reset",
                )
            },
        ),
        (
            "Bookkeeping",
            {
                "classes": ("collapse",),
                "fields": ("last_received", "is_settled", "anchor_id", "id"),
            },
        ),
    )

    started = moment_of("started_at", "Started")
    last_message = moment_of("last_at", "Last message")
    last_received = moment_of("last_received_at", "Last message received")
    done = moment_of("done_at", "DONE")
    ended = moment_of("ended_at", "Ended")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        replies = Prefetch("outbox", queryset=OutboxItem.objects.defer("said"))
        return (
            super()
            .get_queryset(request)
            .select_related("contact")
            .prefetch_related(replies)
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SessionList

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if self.may_view(request, Media):
            return columns
        return [name for name in columns if name != "pictures"]

    # --- verbs ----------------------------------------------------------------

    @admin.action(description="Close session", permissions=["verb"])
    def close(self, request: HttpRequest, queryset: QuerySet[PhotoSession]) -> None:
        """Submit the selected open sessions as they are."""
        result = "closed"
        if settings.SESSION_WEBHOOK_URL:
            result = "closed, and what it holds goes to the business"
        self._decide(request, queryset, PhotoSession.Verb.CLOSE, result)

    @admin.action(description="Cancel session", permissions=["verb"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[PhotoSession]) -> None:
        """End the selected open sessions without a summary. Their photos stay."""
        self._decide(
            request,
            queryset,
            PhotoSession.Verb.CANCEL,
            "cancelled; its photos are kept",
        )

    @admin.action(description="Resend summary", permissions=["verb"])
    def resend_summary(
        self, request: HttpRequest, queryset: QuerySet[PhotoSession]
    ) -> None:
        """Hand the last revision of the selected submitted sessions over to the business once
        more.
        """
        chosen = PhotoSession.objects.filter(
            id__in=queryset.values("pk"), state=State.SUBMITTED
        )
        again = sum(outbox_results.resend_summary(session) for session in chosen)
        if again:
            tell_of_sending(
                self, request, counted(again, "summary is", "summaries are")
            )
            return
        text = (
            "No summary is sent again: only one that was handed over and is not on its "
            "way can be."
        )
        tell(self, request, text, is_good=False)

    def _decide(
        self,
        request: HttpRequest,
        queryset: QuerySet[PhotoSession],
        verb: PhotoSession.Verb,
        result: str,
    ) -> None:
        chosen = list(PhotoSession.objects.filter(id__in=queryset.values("pk")))
        decided = sum(rebuilds.close_or_cancel(session, verb) for session in chosen)
        if decided:
            # Where Redis is not available, the sweeper enqueues them.
            outbox_queues.enqueue_senders()
            count = "The session is"
            if decided > 1:
                count = f"Each of {decided} sessions is"
            text = f"{count} {result}. Nothing is said to its contact."
            tell(self, request, text, is_good=True)
        if decided < len(chosen):
            over = counted(len(chosen) - decided, "session was", "sessions were")
            text = f"{over} over already and stay as they are."
            tell(self, request, text, is_good=False)

    def offers(self, verb: str, row: PhotoSession) -> bool:
        if verb in ("close", "cancel"):
            return row.is_open
        hand_overs = [
            item for item in row.outbox.all() if item.kind == OutboxItem.Kind.HAND_OVER
        ]
        last = max(hand_overs, key=lambda item: item.revision, default=None)
        if last is None or row.state != State.SUBMITTED:
            return False
        on_its_way = (OutboxItem.State.QUEUED, OutboxItem.State.SENDING)
        return last.state not in on_its_way

    # --- the page -------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What has not happened is left out."""
        happened = {
            "done": obj.done_at,
            "ended": obj.ended_at,
            "unanswered": obj.is_unanswered,
            "decided": obj.staff_verb,
            "reset": obj.is_reset,
        }
        fieldsets: list[Any] = []
        for name, options in super().get_fieldsets(request, obj):
            fields = [name for name in options["fields"] if happened.get(name, True)]
            fieldsets.append((name, {**options, "fields": fields}))
        return fieldsets

    def page_context(self, request: HttpRequest, row: PhotoSession) -> dict[str, Any]:
        (card,) = session_cards([row])
        tiles: list[Tile] = []
        if self.may_view(request, Media):
            tiles = card.tiles
        replies = row.outbox.order_by("caused_at", "place", "id")
        if not self.may_view(request, OutboxItem):
            replies = replies.none()
        return {
            "shown": card,
            "sender": row.contact.name or sender_name(row.owner),
            "number": sender_name(row.owner),
            "contact_url": change_url(row.contact),
            "tiles": tiles,
            "summary": summary_text(row, may_give_links=may_give_links(self, request)),
            "replies": [
                {
                    "item": item,
                    "url": change_url(item),
                    "badge": reply_badge(item),
                    "said": what_was_said(item),
                    "at": when(item),
                }
                for item in replies[:MAX_REPLIES]
            ],
            "reply_count": len(row.outbox.all()),
        }

    # --- columns --------------------------------------------------------------

    @admin.display(description="Files")
    def pictures(self, session: Any) -> Any:
        return session.shown.strip

    @admin.display(description="Photos")
    def photos(self, session: Any) -> str:
        return format_html('<span class="strong">{}</span>', session.shown.photos)

    @admin.display(description="Contact", ordering="contact__name")
    def contact_link(self, session: PhotoSession) -> str:
        return contact_link(session.contact, session.owner)

    @admin.display(description="State", ordering="state")
    def state_badge(self, session: PhotoSession) -> str:
        return session_badge(session)

    @admin.display(description="Replies")
    def outcome(self, session: PhotoSession) -> str:
        badges = (
            (badge(words, tone),) for words, tone in outcomes(session.outbox.all())
        )
        return format_html(
            '<span class="progress">{}</span>', format_html_join(" ", "{}", badges)
        )

    @admin.display(description="Staff decided")
    def decided(self, session: PhotoSession) -> str:
        if not session.staff_verb:
            return ""
        return session.get_staff_verb_display()

    @admin.display(description="Details")
    def unanswered(self, session: PhotoSession) -> str:
        if not session.is_unanswered:
            return ""
        return (
            "None: the contact did not answer the question for them in time. The photos "
            "were submitted without."
        )

    @admin.display(description="Reset")
    def reset(self, session: PhotoSession) -> str:
        if not session.is_reset:
            return ""
        kept = "Those that were sent elsewhere as well are kept."
        if session.contact.is_held:
            kept = "A hold keeps them."
        return f"The contact asked for the files of this session to be deleted. {kept}"
