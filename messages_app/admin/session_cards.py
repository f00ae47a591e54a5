"""A session as lists and pages show it: its state, counts and pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.views import ChangeList

from media_app.admin.badges import Tone, badge
from media_app.admin.machine_owned import change_url
from media_app.admin.tiles import Tile, tile
from messages_app import replies
from messages_app.models import PhotoSession
from messages_app.summaries import PhotoCounts, counts_of, sent_in

State = PhotoSession.State

# Pictures of a session in a list.
MAX_IN_LIST = 3

_TONES: dict[str, Tone] = {
    State.COLLECTING: "busy",
    State.AWAITING_DETAILS: "busy",
    State.SUBMITTED: "good",
    State.EXPIRED: "quiet",
    State.CANCELLED: "quiet",
}


def session_badge(session: PhotoSession) -> str:
    words = session.get_state_display()
    if session.is_unanswered:
        words += ", no answer"
    return badge(words, _TONES.get(session.state, "quiet"))


def count_text(counts: PhotoCounts) -> str:
    """As the contact is told, and what was sent more than once: ``3 photos, 1 too large, 1 sent
    again``.
    """
    text = replies.count_text(counts)
    if counts.duplicates:
        text += f", {counts.duplicates} sent again"
    return text


@dataclass(frozen=True, slots=True)
class SessionCard:
    """What lists and pages show of a session."""

    session: PhotoSession
    photos: str
    tiles: list[Tile]

    @property
    def url(self) -> str:
        return change_url(self.session)

    @property
    def badge(self) -> str:
        return session_badge(self.session)

    @property
    def strip(self) -> str:
        """The first pictures, and how many more there are."""
        context = {
            "tiles": self.tiles[:MAX_IN_LIST],
            "more": len(self.tiles[MAX_IN_LIST:]),
        }
        return render_to_string("admin/messages_app/strip.html", context)


def session_cards(sessions: Iterable[PhotoSession]) -> list[SessionCard]:
    """Sessions with their photos by the provider's time, in one query. They must know their
    contacts.
    """
    rows = list(sessions)
    sent = sent_in(rows)
    return [
        SessionCard(
            session,
            count_text(counts_of(session, sent[session.id])),
            [tile(media, sender=session.contact.name) for media in sent[session.id]],
        )
        for session in rows
    ]


class SessionList(ChangeList):
    """A page of the list, which knows the photos of all its sessions at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: Iterable[Any] = self.result_list
        for row, each in zip(rows, session_cards(rows), strict=True):
            row.shown = each
