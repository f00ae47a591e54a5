"""Someone at the login page, from an address of their own."""

from __future__ import annotations

from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode

_LOGIN = "/admin/login/"


def guess(port: int, *, address: str, forwarded: str) -> int:
    """Send a wrong password from an address of this machine, and say that one comes from elsewhere;
    the status.
    """
    connection = HTTPConnection(
        "127.0.0.1", port, timeout=60, source_address=(address, 0)
    )
    try:
        connection.request("GET", _LOGIN)
        page = connection.getresponse()
        page.read()
        token = SimpleCookie(page.headers["Set-Cookie"])["csrftoken"].value
        form = {"username": "root", "password": "wrong", "csrfmiddlewaretoken": token}
        headers = {
            "Cookie": f"csrftoken={token}",
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Forwarded-For": forwarded,
        }
        connection.request("POST", _LOGIN, urlencode(form), headers)
        return connection.getresponse().status
    finally:
        connection.close()
