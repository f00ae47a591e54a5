"""Why a rejected file was not accepted, as a code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps

from media_app import retry
from media_app.models import Media
from media_app.sources.errors import SourceError, WorkerLostError
from tests.media.files import Announced, announcement, claimed

Failure = Media.Failure
NOW = datetime.now(UTC)


def ended(error: SourceError) -> retry.Retry | retry.PauseAccount | retry.End:
    """What is decided long after the provider deleted the file."""
    return retry.decide(
        error,
        attempts=99,
        repeated=True,
        announced_at=NOW - timedelta(days=60),
        expires_at=NOW - timedelta(days=30),
        give_up_at=NOW - timedelta(days=29),
        announces_early=False,
        now=NOW,
        jitter=0.5,
    )


def test_each_rejection_has_its_own_code() -> None:
    kinds = [kind for kind in SourceError.__subclasses__() if kind != WorkerLostError]
    errors = [WorkerLostError(), *(kind("why") for kind in kinds)]
    rejected = [error for error in errors if ended(error) == retry.End.REJECTED]
    codes = {retry.failure_of(error) for error in rejected}
    assert codes == {*Failure} - {Failure.NOT_PASSED_ON}
    assert len(rejected) == len(codes)


@pytest.mark.django_db
@pytest.mark.both_databases
def test_the_code_goes_with_the_rejection(announced: Announced) -> None:
    media = announced()
    rows = Media.objects.filter(id=media.id)
    lease = claimed()
    assert Media.objects.mark_rejected(lease, "why", Failure.TOO_LARGE)
    assert rows.get().is_too_large
    rows.revive()
    assert rows.get().failure == ""
    rows.update(failure=Failure.FORBIDDEN)
    rows.mark_deleted("by staff")
    assert rows.get().failure == ""


@pytest.mark.django_db
def test_a_file_that_was_not_passed_on_has_a_code() -> None:
    lost = announcement(not_passed_on="131052: Media download error").as_row()
    assert (lost.state, lost.failure) == ("rejected", Failure.NOT_PASSED_ON)
    assert announcement().as_row().failure == ""


TEXTS = [
    ("The file is larger than the 5 bytes that MEDIA_MAX_BYTES allows.", "too_large"),
    ("The provider could not pass it on: 131052: x", "not_passed_on"),
    ("The worker was lost while it fetched the file.", "worker_lost"),
    ("1,024 bytes were announced, 7 came.", "wrong_bytes"),
    ("Twilio's API answered 403.", "forbidden"),
    ("The address answered 403.", "forbidden"),
    ("http://10.0.0.1:80 is not an address that this hub may call.", "refused_address"),
    ("The address can't be read.", "refused_address"),
    ("Something that no release has written.", ""),
]


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_former_rejections_get_their_code(
    announced: Announced, text: str, code: str
) -> None:
    rejected, other = announced(), announced()
    Media.objects.filter(id=rejected.id).update(state="rejected", last_error=text)
    Media.objects.filter(id=other.id).update(state="expired", last_error=text)
    import_module("media_app.migrations.0009_failure").read_reasons(apps, None)
    assert Media.objects.get(id=rejected.id).failure == code
    assert Media.objects.get(id=other.id).failure == ""
