"""What staff see while the database keeps them waiting."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError, ProgrammingError
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from mediahub.database_failures import DatabaseFailureMiddleware
from tests.admin.conftest import Staff
from tests.admin.rows import make_media, photo
from tests.messages.rival import locked

LIST = reverse("admin:media_app_media_changelist")


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_a_verb_behind_a_lock_is_answered_503_with_what_to_do(
    staff: Staff, caplog: pytest.LogCaptureFixture
) -> None:
    media, client = make_media(photo()), staff("media_app.change_media")
    with locked("media_app_media"):
        answer = client.post(
            LIST, {"action": "revoke_links", "_selected_action": [media.id]}
        )
    page = answer.content.decode()
    assert answer.status_code == 503
    assert "Something else is changing the same data. Wait a minute" in page
    assert "may not be saved" in page
    assert int(answer["Retry-After"]) > 0
    assert "Traceback" not in caplog.text


def answered(error: Exception, cause: Exception | None = None) -> str | None:
    error.__cause__ = cause
    middleware = DatabaseFailureMiddleware(lambda request: HttpResponse())
    answer = middleware.process_exception(RequestFactory().get("/admin/"), error)
    return answer.content.decode() if answer else None


def test_a_page_says_why_it_is_not_there() -> None:
    assert "took too long" in str(
        answered(OperationalError("x"), psycopg.errors.QueryCanceled("x"))
    )
    assert "does not answer" in str(
        answered(OperationalError("couldn't get a connection after 5.00 sec"))
    )
    assert "may not be saved" not in str(answered(OperationalError("x")))


@pytest.mark.parametrize("error", [ProgrammingError("x"), ValueError("x")])
def test_a_fault_of_our_own_is_not_hidden(error: Exception) -> None:
    assert answered(error) is None
