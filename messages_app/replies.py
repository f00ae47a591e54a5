"""All texts that the hub sends to contacts. Translate them with Django's message files."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext, ngettext

from messages_app.models import OutboxItem
from messages_app.providers.base import Button
from messages_app.session_state import Word
from messages_app.summaries import PhotoCounts

Kind = OutboxItem.Kind


@dataclass(frozen=True, slots=True)
class ReplyText:
    text: str
    buttons: tuple[Button, ...] = ()


def buttons() -> tuple[Button, ...]:
    """The answers to the question for details; their titles typed as text count as well."""
    return (
        Button(id=Word.SKIP, title=gettext("NO, SKIP")),
        Button(id=Word.ADD, title=gettext("YES, ADD")),
    )


def count_text(counts: PhotoCounts) -> str:
    """``14 photos, 1 still on its way, 1 too large``."""
    parts = [
        ngettext("%(n)d photo", "%(n)d photos", counts.photos) % {"n": counts.photos}
    ]
    if counts.on_their_way:
        on_their_way = ngettext(
            "%(n)d still on its way", "%(n)d still on their way", counts.on_their_way
        )
        parts.append(on_their_way % {"n": counts.on_their_way})
    if counts.too_large:
        parts.append(gettext("%(n)d too large") % {"n": counts.too_large})
    if counts.refused:
        parts.append(gettext("%(n)d not accepted") % {"n": counts.refused})
    return ", ".join(parts)


def render(
    kind: str, counts: PhotoCounts, *, is_submitted: bool = False, is_held: bool = False
) -> ReplyText:
    """A reply's text and buttons by the present counts. ``is_held``: nothing that the contact sent
    is deleted.
    """
    got = count_text(counts)
    again = gettext("Please send your photos, then text DONE.")
    if kind in {Kind.QUESTION, Kind.CORRECTION} and not is_submitted:
        if counts.photos == 0:
            return ReplyText(gettext("Got %(got)s.") % {"got": got} + " " + again)
        if kind == Kind.QUESTION:
            opening = gettext("Great!")
        else:
            opening = gettext("Correction:")
        question = gettext("%(opening)s Got %(got)s. Any flaws or special notes?")
        return ReplyText(question % {"opening": opening, "got": got}, buttons())
    if kind == Kind.RESET and is_held:
        return ReplyText(
            gettext(
                "This session is over. Nothing has been passed on. We have to keep its "
                "photos for now."
            )
        )
    texts = {
        Kind.START: gettext("Welcome! Send your photos, then text DONE."),
        Kind.ACK: gettext("Got it! Keep sending. Text DONE when finished."),
        Kind.HINT: gettext(
            "We are waiting for your photos. Text DONE when finished, or CANCEL."
        ),
        Kind.NO_PHOTOS: gettext("We have no photos of yours yet.") + " " + again,
        Kind.QUESTION: gettext("Great! Got %(got)s.") % {"got": got},
        Kind.ADD: gettext("Please describe them in one message."),
        Kind.SUBMITTED: gettext("Thank you! Passed on: %(got)s.") % {"got": got},
        Kind.CANCELLED: gettext("Cancelled. Nothing has been passed on."),
        Kind.RESET: gettext(
            "The photos of this session are deleted. Nothing has been passed on."
        ),
        Kind.CORRECTION: gettext("Correction: got %(got)s in all.") % {"got": got},
    }
    return ReplyText(texts[Kind(kind)])
