"""What of a request's body is read, and from whom."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024
FORM = "application/x-www-form-urlencoded"
FILE = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.bin"\r\n\r\n'


class Unread(io.BytesIO):
    """A body that says how much of it was taken."""

    def taken(self) -> int:
        return self.tell()


def post(client: Client, path: str, body: bytes, content_type: str) -> tuple[int, int]:
    """The status, and how much of the body was read."""
    stream = Unread(body)
    extra: dict[str, Any] = {
        "wsgi.input": stream,
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": content_type,
    }
    status = client.generic("POST", path, b"", **extra).status_code
    return status, stream.taken()


@pytest.mark.parametrize(
    "path", ["/admin/login/", "/admin/", "/admin/media_app/media/"]
)
@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (
            "multipart/form-data; boundary=x",
            FILE + b"0" * 3 * MIB + b"\r\n--x--\r\n",
            413,
        ),
        ("multipart/form-data; boundary=x", FILE + b"0\r\n--x--\r\n", 415),
        (FORM, b"a=" + b"0" * MIB, 413),
        (f"{FORM}; charset=utf-16", b"%" * 70_000, 413),
    ],
)
def test_nothing_large_and_no_file_is_read_from_the_anonymous(
    path: str, content_type: str, body: bytes, status: int
) -> None:
    client = Client(enforce_csrf_checks=True)
    # With a cookie that anybody can make up, the CSRF check looks for the token in the body.
    client.cookies["csrftoken"] = "a" * 32
    assert post(client, path, body, content_type) == (status, 0)


def test_the_anonymous_can_log_in() -> None:
    User.objects.create_superuser("ada", password="secret-enough")
    client = Client()
    answer = client.post(
        "/admin/login/?next=/admin/",
        "username=ada&password=secret-enough&next=/admin/",
        content_type=FORM,
    )
    assert answer.status_code == 302
    # The admin's own forms are multipart.
    assert client.post("/admin/media_app/media/", {"action": "none"}).status_code in {
        200,
        302,
    }


def test_staff_can_fill_no_disk() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    body = FILE + b"0" * 3 * MIB + b"\r\n--x--\r\n"
    assert post(client, "/admin/", body, "multipart/form-data; boundary=x") == (413, 0)
    small = client.post(
        "/admin/password_change/", {"file": SimpleUploadedFile("a.bin", b"0" * MIB)}
    )
    held: Any = small.wsgi_request.FILES["file"]
    assert not hasattr(held, "temporary_file_path")
