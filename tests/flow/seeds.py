"""The rows that the HTTP table is asked of, made within a hub: ``manage.py shell -c "...
sow(...)"``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from uuid import uuid4

from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.utils.http import http_date

from media_app import signing
from media_app.ingest import ingest
from media_app.models import Installation, Media
from media_app.retry import MIN_ATTEMPTS
from media_app.spool import Spool
from messages_app.models import Attachment, Message
from tests.flow.table import BODY
from tests.media.files import announcement, keep

#: More than all buffers between a storage and a reader that has stopped reading.
LARGE = BODY * 24_000
# With a part of a second, which HTTP's dates do not have.
_WHEN = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=654321)
_accounts = count(1)


def sow(waiting: int, waiting_empty: int) -> None:
    """Print where the files are found, as JSON. So many wait to be fetched; the others count as
    stored.
    """
    photo = _stored(BODY)
    files = {
        "photo": photo,
        "empty": _stored(b""),
        "large": _stored(LARGE),
        "cut": _stored(LARGE),
    }
    lost = [_stored(BODY) for _ in range(3)]
    gone = [_given_up_next() for _ in range(2)]
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    print(
        json.dumps(
            {
                "installation": str(Installation.objects.current()),
                "files": {name: _told(media) for name, media in files.items()},
                "lost": [_told(media) for media in lost],
                "gone": [_told(media) for media in gone],
                "waiting": [_path(_announced(BODY)) for _ in range(waiting)],
                "waiting empty": [
                    _path(_announced(b"", behaviour="empty"))
                    for _ in range(waiting_empty)
                ],
                "message": _message(photo),
                "cookie": f"sessionid={client.cookies['sessionid'].value}",
                "tag": f'"{photo.sha256}"',
                "dates": {
                    name: http_date(_WHEN.timestamp() + seconds)
                    for name, seconds in (
                        ("date", 0),
                        ("earlier", -3600),
                        ("later", 3600),
                    )
                },
            }
        )
    )


def _announced(
    body: bytes, *, behaviour: str = "photo", when: datetime = _WHEN
) -> Media:
    """A file that the provider has under the name of how it behaves, in an account of its own."""
    given = announcement(
        provider_media_id=behaviour,
        account=f"account {next(_accounts)}",
        sha256=sha256(body).hexdigest(),
        occurred_at=when,
    )
    keep(given)
    return Media.objects.get(id=given.id)


def _stored(body: bytes, *, behaviour: str = "photo") -> Media:
    media = _announced(body, behaviour=behaviour)
    lease = Media.objects.filter(id=media.id).claim()
    assert lease is not None
    digest = sha256(body).hexdigest()
    Media.objects.mark_stored(
        lease,
        key=media.key,
        sha256=digest,
        size=len(body),
        content_type="image/jpeg",
        type_differs=False,
    )
    media.refresh_from_db()
    return media


def _given_up_next() -> Media:
    """A file that its provider has not kept: one more attempt, and it is given up."""
    long_ago = datetime.now(UTC) - timedelta(days=30)
    media = _announced(BODY, behaviour="api-gone", when=long_ago)
    files = Media.objects.filter(id=media.id)
    for _ in range(MIN_ATTEMPTS - 1):
        lease = files.claim()
        assert lease is not None
        with Spool(1) as spool:
            ingest(lease, spool)
        files.update(next_attempt_at=Now())
    return media


def _told(media: Media) -> dict[str, str]:
    return {"path": _path(media), "key": media.key}


def _path(media: Media) -> str:
    _, _, query = signing.link(media, lasts=timedelta(hours=1)).partition("?")
    return f"/media/{media.id}/?{query}"


def _message(media: Media) -> str:
    """Where the file is found as the first one of a message."""
    message = Message.objects.create(
        id=uuid4(),
        provider="meta",
        provider_message_id="wamid.1",
        kind="image",
        occurred_at=_WHEN,
        received_at=_WHEN,
    )
    Attachment.objects.create(message=message, position=0, media=media)
    return f"/api/media/messages/{message.id}/?{_path(media).partition('?')[2]}"
