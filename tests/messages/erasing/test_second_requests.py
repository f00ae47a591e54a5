"""A second request for the same person while the first is carried out."""

from __future__ import annotations

import pytest

from messages_app.erasing import flow
from messages_app.models import ErasureRequest
from tests.faults import crash
from tests.messages.erasing.world import left_of_ada, people, photo, settle
from tests.messages.mail import ADA, arrive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_a_run_reaches_as_far_as_the_last_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people()
    first = flow.request_erasure(ADA, requested_by="test")
    again: list[ErasureRequest] = []

    def as_it_ends(name: str) -> None:
        if name == "erase_after_record" and not again:
            arrive(crash.album(photo(40)))
            settle()
            again.append(flow.request_erasure(ADA, requested_by="test"))

    monkeypatch.setattr(flow, "failpoint", as_it_ends)
    flow.carry_out(first.id)
    request = ErasureRequest.objects.get()
    assert (request.state, request.until) == ("done", again[0].until)
    assert left_of_ada() == []


def test_a_request_that_has_just_ended_is_not_prolonged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people()
    first, digests_of = flow.request_erasure(ADA, requested_by="test"), flow._digests_of

    def ends(owners: list[str]) -> list[str]:
        flow.carry_out(first.id)
        return digests_of(owners)

    monkeypatch.setattr(flow, "_digests_of", ends)
    second = flow.request_erasure(ADA, requested_by="test")
    first.refresh_from_db()
    assert (first.state, first.owners) == ("done", [])
    assert second.id != first.id
