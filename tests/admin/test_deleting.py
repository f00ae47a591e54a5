"""Staff delete files, and bring them back."""

from __future__ import annotations

import pytest
from django.test import Client

from media_app import installation
from media_app.models import Media
from media_app.storage import media_storage
from messages_app.models import Contact
from tests.admin.conftest import Staff
from tests.admin.rows import make_contact, make_media, photo

pytestmark = pytest.mark.django_db

LIST = "/admin/media_app/media/"


@pytest.fixture
def keeper(staff: Staff) -> Client:
    return staff("media_app.view_media", "media_app.delete_media")


def run(client: Client, verb: str, *files: Media) -> str:
    chosen = {"action": verb, "_selected_action": [str(media.id) for media in files]}
    return client.post(LIST, chosen, follow=True).content.decode()


def states() -> list[str]:
    return sorted(Media.objects.values_list("state", flat=True))


def page(media: Media) -> str:
    return f"{LIST}{media.id}/change/"


def test_staff_delete_files_and_restore_them(keeper: Client) -> None:
    files = [make_media(photo()) for _ in range(2)]
    html = run(keeper, "delete_files", *files)
    assert "Deleted: 2 files." in html
    assert states() == ["deleted", "deleted"]
    html = keeper.get(page(files[0])).content.decode()
    assert "Restore" in html and "Can be restored until" in html
    assert "Restored: 2 files." in run(keeper, "restore_files", *files)
    assert states() == ["stored", "stored"]


def test_files_of_contacts_on_hold_are_kept(keeper: Client) -> None:
    make_contact("Ana")
    Contact.objects.update(is_held=True)
    held, other = make_media(photo()), make_media(photo(), owner="whatsapp:+4915112345")
    html = run(keeper, "delete_files", held, other)
    assert "Deleted: 1 file." in html and "1 file of contacts on hold" in html
    assert Media.objects.get(state="stored") == held


def test_a_file_whose_object_is_gone_is_missing(keeper: Client) -> None:
    installation.check(media_storage())
    media = make_media(photo())
    run(keeper, "delete_files", media)
    media_storage().delete([media.key])
    assert "Missing: 1 file." in run(keeper, "restore_files", media)
    assert states() == ["missing"]


def test_deleting_takes_its_own_permission(staff: Staff) -> None:
    media = make_media(photo())
    client = staff("media_app.view_media", "media_app.change_media")
    run(client, "delete_files", media)
    assert states() == ["stored"]
    assert "verb/delete_files" not in client.get(page(media)).content.decode()
