"""Files of the hostile provider on their way into the bucket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models.functions import Now

from media_app.ingest import ingest_next
from media_app.models import AccountPause, FetchAttempt, Media
from media_app.storage import media_storage
from tests.media.files import announcement, keep
from tests.sources.calls import ACCOUNT
from tests.sources.hostile import HostileProvider

EARLIER = timedelta(minutes=10)


class Hub:
    """One hub, its bucket, and the provider that it fetches from: an API, and a host for the
    links.
    """

    def __init__(self, api: HostileProvider, cdn: HostileProvider) -> None:
        self.api = api
        self.cdn = cdn

    def announce(self, source: str, behaviour: str, **words: Any) -> Media:
        """A file that behaves so, announced ten minutes ago: nothing is too early, a link of Meta's
        too old.
        """
        earlier = datetime.now(UTC) - EARLIER
        said = {
            "source": source,
            "occurred_at": earlier,
            "announced_at": earlier,
            **self.place(source, behaviour),
        }
        given = announcement(**{**said, **words})
        keep(given)
        return Media.objects.get(id=given.id)

    def place(self, source: str, behaviour: str) -> dict[str, str]:
        """Where a file that behaves so is found, in the source's own words."""
        return {
            "meta": {"account": "106540352242922", "provider_media_id": behaviour},
            "twilio": {"account": ACCOUNT, "url": self.api.twilio_url(behaviour)},
            "url": {"account": "web", "url": self.cdn.url(behaviour)},
        }[source]

    def move(self, behaviour: str) -> None:
        """The provider behaves otherwise from now on."""
        place = self.place(Media.objects.get().source, behaviour)
        Media.objects.update(**place)

    def fetch(self) -> Media:
        """The next attempt, as if its time had come."""
        AccountPause.objects.update(until=Now())
        Media.objects.update(next_attempt_at=Now())
        fetched = ingest_next()
        assert fetched is not None, "nothing was due"
        return Media.objects.get(id=fetched.id)

    def requests(self) -> list[str]:
        """The paths that the provider was asked for."""
        return [
            request.path for request in (*self.api.received(), *self.cdn.received())
        ]

    def objects(self) -> dict[str, bytes]:
        """All that lies in the bucket."""
        storage = media_storage()
        found = {}
        for each in storage.list(""):
            opened = storage.open_range(each.key)
            assert opened is not None
            found[each.key] = b"".join(opened.chunks())
            opened.close()
        return found

    def answers(self) -> list[str]:
        """What each attempt came to, the first one first; "" where it stored the file."""
        return list(
            FetchAttempt.objects.order_by("id").values_list("answer", flat=True)
        )
