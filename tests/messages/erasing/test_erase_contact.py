"""``erase_contact``: all of one person goes, whatever happens meanwhile, and nothing of others."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from media_app import tombstones
from media_app.models import CommandRun, Media
from media_app.restoring import Restored, restore
from media_app.storage import StorageError, media_storage
from media_app.timing import DELETED_FILES_WAIT
from messages_app.erasing import files, flow, marks
from messages_app.models import (
    Attachment,
    Contact,
    ContactOwner,
    Delivery,
    ErasureRequest,
    Message,
)
from simulator.content import Kind, content
from simulator.provider import SimulatedProvider
from tests.faults import crash
from tests.messages.erasing.world import (
    KEY,
    NUMBER,
    certificate,
    erase,
    forwarded,
    left_of_ada,
    others,
    people,
    photo,
    settle,
)
from tests.messages.mail import ADA, BOB, arrive
from tests.storage.buckets import read

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_without_a_key_it_refuses(settings: Settings) -> None:
    settings.ERASURE_KEY = []
    code, said = erase("+14335551212", "--apply")
    assert (code, ErasureRequest.objects.count()) == (4, 0)
    assert "ERASURE_KEY is not set" in said


def test_another_key_than_before_is_refused(settings: Settings) -> None:
    assert erase("+14335551212", "--apply")[0] == 0
    settings.ERASURE_KEY = ["another" * 5]
    assert erase("+15550002222", "--apply")[0] == 4
    settings.ERASURE_KEY = ["another" * 5, KEY]
    assert erase("+15550002222", "--apply")[0] == 0


def test_without_apply_it_only_counts() -> None:
    people()
    before = crash.end_state()
    code, said = erase("+14335551212", "--json")
    counts: dict[str, int] = {}
    for line in said.splitlines():
        counts |= json.loads(line).get("would_erase", {})
    assert code == 0
    assert (counts["messages"], counts["files"], counts["objects"]) == (3, 3, 5)
    assert (counts["deliveries"], counts["contacts"]) == (2, 1)
    assert crash.end_state() == before
    assert not ErasureRequest.objects.exists()


def test_one_person_is_erased_and_no_other() -> None:
    people()
    before = others()
    code, said = erase("+14335551212", "--apply")
    assert code == 0, said
    assert left_of_ada() == []
    assert others() == before
    assert NUMBER not in said
    assert not Message.objects.filter(contact=None).exists()
    kept = {b"15550002222" in bytes(row.body) for row in deliveries()}
    assert kept == {True, False}


def deliveries() -> list[Delivery]:
    return list(Delivery.objects.exclude(erased_at=None))


def test_the_certificate_has_counts_and_no_person() -> None:
    people()
    erase("whatsapp:+14335551212", "--apply")
    request = ErasureRequest.objects.get()
    erased = certificate()["erased"]
    assert (request.state, request.owners, request.reason) == ("done", [], "")
    assert request.asked_until is None
    assert (erased["messages"], erased["files"], erased["contacts"]) == (3, 3, 1)
    assert erased["objects_without_rows"] == 1
    assert erased["provider_copies_deleted"] == 4
    assert certificate()["failed_jobs_deleted"]
    run = CommandRun.objects.get()
    assert run.counts["messages"] == 3 and run.arguments == "… --apply"


def test_the_providers_copies_are_deleted(provider: SimulatedProvider) -> None:
    people()
    erase("+14335551212", "--apply")
    files = [photo(1), photo(2), photo(4, vendor="twilio")]
    wanted = {each.file.media_id for each in files if each.file}
    assert wanted | {photo(4, vendor="twilio").message_id} <= {*provider.deleted}


def test_a_later_request_asks_for_all_copies(provider: SimulatedProvider) -> None:
    people()
    flow.request_erasure(ADA, requested_by="test")
    # A run was stopped after it had asked for all that there was.
    ErasureRequest.objects.update(asked_until=UUID(int=2**128 - 1))
    flow.request_erasure(ADA, requested_by="test")
    flow.sweep()
    assert certificate()["erased"]["provider_copies_deleted"] == 4


def test_a_provider_that_is_away_stops_nothing(provider: SimulatedProvider) -> None:
    people()
    provider.down = True
    try:
        assert erase("+14335551212", "--apply")[0] == 0
    finally:
        provider.down = False
    assert left_of_ada() == []
    assert certificate()["erased"]["provider_copies_kept"] == 6


def test_a_file_that_another_sent_too_is_theirs_now() -> None:
    shared = photo(1)
    arrive(crash.album(shared), crash.album(forwarded(1)))
    settle()
    body = bytes(content(Kind.PHOTO, 1).body)
    assert Media.objects.get().owner == ADA
    assert erase("+14335551212", "--apply")[0] == 0
    media = Media.objects.get()
    assert (media.owner, media.state) == (BOB, "stored")
    assert media.provider_message_id == "wamid.forwarded"
    assert read(media_storage(), media.key) == body
    assert left_of_ada() == []
    assert certificate()["erased"]["files_kept_for_others"] == 1


@pytest.mark.parametrize(
    "step", ["erase_before_tombstones", "erase_before_mark", "erase_after_mark"]
)
def test_what_another_sends_meanwhile_is_stored(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(crash.album(photo(1)))
    settle()
    for module in (marks, files):
        monkeypatch.setattr(module, "failpoint", Forwarding(step))
    assert erase("+14335551212", "--apply")[0] == 0
    attached = Attachment.objects.get()
    assert (attached.message.owner, attached.media.state) == (BOB, "stored")
    assert media_storage().head(attached.media.key)
    assert not tombstones.erased([attached.media_id])
    assert left_of_ada() == []


class Forwarding:
    """Bob sends Ada's photo, too, when the erasure is at this step."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __call__(self, step: str) -> None:
        if step == self._step and not Message.objects.filter(owner=BOB).exists():
            arrive(crash.album(forwarded(1)))
            settle()


def test_a_deleted_file_of_another_can_still_be_restored() -> None:
    arrive(crash.album(photo(1)), crash.album(forwarded(1)))
    settle()
    Media.objects.all().mark_deleted("by staff", wait=DELETED_FILES_WAIT)
    assert erase("+14335551212", "--apply")[0] == 0
    media = Media.objects.get()
    assert (media.owner, media.state) == (BOB, "deleted")
    assert restore(media.id) == Restored.STORED
    assert left_of_ada() == []


def test_a_hold_blocks_it_until_it_ends() -> None:
    people()
    Contact.objects.filter(owners__owner=ADA).hold(True)
    before = crash.end_state()
    code, said = erase("+14335551212", "--apply")
    assert code == 3 and "on hold" in said
    assert ErasureRequest.objects.get().state == "waiting"
    flow.sweep()
    assert crash.end_state() == before
    Contact.objects.filter(owners__owner=ADA).hold(False)
    flow.sweep()
    assert ErasureRequest.objects.get().state == "done"
    assert left_of_ada() == []


def test_a_hold_in_between_keeps_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    people()
    with monkeypatch.context() as patch:
        patch.setattr(flow, "failpoint", hold_after_files)
        assert erase("+14335551212", "--apply")[0] == 3
    assert Message.objects.filter(contact__owners__owner=ADA).count() == 3
    Contact.objects.filter(owners__owner=ADA).hold(False)
    flow.sweep()
    assert left_of_ada() == []


def hold_after_files(name: str) -> None:
    if name == "erase_after_files":
        Contact.objects.filter(owners__owner=ADA).hold(True)


def test_a_storage_that_is_down_makes_it_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    people()

    def broken(*_: object, **__: object) -> None:
        raise StorageError("whatsapp:+14335551212/1.jpg")

    with monkeypatch.context() as patch:
        patch.setattr(type(media_storage()), "marker", broken)
        code, said = erase("+14335551212", "--apply")
    assert code == 3 and NUMBER not in said.replace("+14335551212 --apply", "")
    request = ErasureRequest.objects.get()
    assert (request.state, NUMBER in request.reason) == ("waiting", False)
    flow.sweep()
    assert ErasureRequest.objects.get().state == "done"
    assert left_of_ada() == []


def test_a_foreign_storage_is_refused(settings: Settings) -> None:
    people()
    media_storage().write_marker("another installation", replace=True)
    assert erase("+14335551212", "--apply")[0] == 4
    assert not ErasureRequest.objects.exists()


def test_every_channel_and_hidden_id_of_the_person_goes() -> None:
    people()
    contact = Contact.objects.get(owners__owner=ADA)
    ContactOwner.objects.create(owner="whatsapp:US.4815162342", contact=contact)
    arrive(crash.twilio(photo(30, f"sms:+{NUMBER}", vendor="twilio")))
    settle()
    assert Contact.objects.filter(owners__owner=f"sms:+{NUMBER}").exists()
    assert erase("whatsapp:US.4815162342", "--apply")[0] == 0
    assert left_of_ada() == []
    assert not ContactOwner.objects.filter(owner__contains="4815162342").exists()


def test_what_comes_after_the_request_is_new_and_stays() -> None:
    people()
    flow.request_erasure(ADA, requested_by="test")
    arrive(crash.album(photo(40), photo(41)))
    settle()
    flow.sweep()
    assert ErasureRequest.objects.get().state == "done"
    assert Message.objects.filter(contact__owners__owner=ADA).count() == 2
    assert Media.objects.filter(owner=ADA, state="stored").count() == 2
    assert len([*media_storage().list(f"{ADA}/")]) == 2


def test_the_same_webhooks_again_bring_nothing_back() -> None:
    sent = [crash.album(photo(1), photo(2)), crash.twilio(photo(4, vendor="twilio"))]
    arrive(*sent)
    settle()
    assert erase("+14335551212", "--apply")[0] == 0
    arrive(*sent, crash.album(photo(2), photo(1)))
    settle()
    assert left_of_ada() == []


def test_the_business_itself_cannot_be_erased() -> None:
    people()
    number = Message.objects.exclude(business="").values_list("business", flat=True)[0]
    code, said = erase(number, "--apply")
    assert (code, ErasureRequest.objects.count()) == (4, 0), said
    assert "business's own number" in said


def test_a_hidden_id_that_becomes_known_goes_too() -> None:
    people()
    request = flow.request_erasure(ADA, requested_by="test")
    contact = Contact.objects.get(owners__owner=ADA)
    ContactOwner.objects.create(owner="whatsapp:US.4815162342", contact=contact)
    digests = len(request.owner_digests)
    flow.carry_out(request.id)
    request.refresh_from_db()
    assert request.state == "done" and not ContactOwner.objects.filter(
        owner__contains="US."
    )
    assert len(request.owner_digests) == digests + 1
