"""A file as a small picture, in lists, messages and contacts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from media_app import filetypes
from media_app.admin.badges import RescueClock, media_badge, rescue_clock
from media_app.admin.machine_owned import change_url
from media_app.admin.times import moment, moment_tag
from media_app.identity import owner_name
from media_app.models import Media
from media_app.previews import can_preview


class Kind(NamedTuple):
    word: str
    #: A name of the Material Symbols font that unfold brings along.
    icon: str


KINDS = {
    "image": Kind("photo", "image"),
    "video": Kind("video", "movie"),
    "audio": Kind("audio", "graphic_eq"),
    "document": Kind("document", "description"),
}


def group_of(media: Media) -> str:
    """The type group: image, video, audio, or document for all else."""
    group = (media.content_type or media.announced_type).partition("/")[0].lower()
    if group not in KINDS:
        return "document"
    return group


def sender_name(owner: str) -> str:
    """An owner as people write it."""
    return owner_name(owner)


@dataclass(frozen=True, slots=True)
class Tile:
    """What the templates of a file need to know."""

    media: Media
    sender: str
    now: datetime

    @property
    def url(self) -> str:
        return change_url(self.media)

    @property
    def original(self) -> str:
        return reverse("media", args=[self.media.id])

    @property
    def thumbnail(self) -> str:
        return self._preview(320)

    @property
    def picture(self) -> str:
        """A picture for the whole page, or ""."""
        if self.shown_as == "image" and not can_preview(self.media):
            return self.original
        return self._preview(1280)

    @property
    def no_picture(self) -> str:
        """Why no preview could be made, or ""."""
        if self.media.preview_due_at is not None:
            return ""
        return self.media.preview_error

    @property
    def shown_as(self) -> str:
        """image, video or audio where the browser may show the file itself, else ""."""
        if not self.media.is_stored or self.media.content_type not in filetypes.INLINE:
            return ""
        return self.group

    @property
    def group(self) -> str:
        return group_of(self.media)

    @property
    def kind(self) -> Kind:
        return KINDS[self.group]

    @property
    def alt(self) -> str:
        """Kind, sender, time: what a thumbnail tells those who don't see it."""
        return f"{self.kind.word} from {self.sender}, {moment(self.media.occurred_at)}"

    @property
    def is_awaited(self) -> bool:
        return self.media.state in Media.WAITING

    @property
    def sent(self) -> str:
        return moment_tag(self.media.occurred_at)

    @property
    def badge(self) -> str:
        return media_badge(self.media)

    @property
    def clock(self) -> RescueClock | None:
        return rescue_clock(self.media, self.now)

    def _preview(self, size: int) -> str:
        if not can_preview(self.media) or self.no_picture:
            return ""
        return f"{reverse('media-preview', args=[self.media.id])}?size={size}"


def tile(media: Media, *, sender: str = "") -> Tile:
    """``sender`` where a better name is known than the owner."""
    return Tile(media, sender or sender_name(media.owner), timezone.now())


def thumbnail(media: Media, *, sender: str = "") -> str:
    """The picture alone, or the icon of its kind."""
    return render_to_string(
        "admin/media_app/thumbnail.html", {"tile": tile(media, sender=sender)}
    )


def progress(media: Media) -> str:
    """The state, and for all but stored files: why, how many attempts, how much time is left."""
    return render_to_string("admin/media_app/progress.html", {"tile": tile(media)})
