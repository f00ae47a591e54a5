"""Every action of staff leaves an entry: who did what to which row."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry

from media_app.models import Media
from messages_app.models import OutboxItem
from tests.admin.conftest import Staff
from tests.admin.pages import act, press, verb_url
from tests.admin.rows import make_contact, make_media, make_reply, make_session, photo

pytestmark = pytest.mark.django_db


def entries() -> set[tuple[str, str]]:
    return {
        (entry.object_id or "", entry.get_change_message())
        for entry in LogEntry.objects.all()
    }


def test_an_action_on_a_list_is_logged_for_each_row(staff: Staff) -> None:
    files = [make_media(photo()) for _ in range(2)]
    act(staff("media_app.change_media"), "revoke_links", *files)
    assert entries() == {(str(media.id), "Revoke links") for media in files}


def test_a_button_of_a_page_is_logged_also_when_it_settles_the_matter(
    staff: Staff,
) -> None:
    item = make_reply(make_session(make_contact()), "hand_over", "failed")
    press(staff("messages_app.change_outboxitem"), item, "send_again")
    assert entries() == {(str(item.id), "Send again")}
    assert OutboxItem.objects.get().state == "queued"


def test_what_is_refused_is_not_logged(viewer: object, staff: Staff) -> None:
    media = make_media(photo())
    looker = staff("media_app.view_media")
    assert looker.post(verb_url(media, "revoke_links")).status_code == 403
    assert entries() == set()
    assert Media.objects.get().link_version == 0
