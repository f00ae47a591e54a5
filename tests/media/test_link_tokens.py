from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from media_app.models import Media
from media_app.signing import Disposition, Link, LinkError, read, token

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEFORE = NOON - timedelta(seconds=1)
PHOTO = Media(id=UUID(int=1), link_version=3)


@pytest.mark.parametrize("disposition", Disposition)
def test_a_token_grants_what_was_signed(disposition: Disposition) -> None:
    granted = Link(disposition, NOON)
    assert read(token(PHOTO, granted), PHOTO, BEFORE) == granted


@pytest.mark.parametrize(
    ("media", "now"),
    [
        (PHOTO, NOON),
        (Media(id=UUID(int=2), link_version=3), BEFORE),
        (Media(id=UUID(int=1), link_version=4), BEFORE),
    ],
)
def test_a_token_ends_and_is_of_one_file_and_version(
    media: Media, now: datetime
) -> None:
    with pytest.raises(LinkError):
        read(token(PHOTO, Link(Disposition.INLINE, NOON)), media, now)
