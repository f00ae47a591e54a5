"""A member of staff at a browser: signs in, looks at the list of media, opens a part of a file."""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests

_MEDIA = re.compile(r"/media/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/")


class VisitError(Exception):
    """The hub did not show what staff would expect."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Glance:
    """What a visit saw of one file."""

    url: str
    status: int
    content_range: str
    body: bytes


def look_at_a_file(
    base_url: str, *, username: str, password: str, first: int = 0, last: int = 99
) -> Glance:
    """Sign in at the admin, take the first file on its media list, fetch one byte range of it.

    Raises VisitError, requests.RequestException.
    """
    with requests.Session() as session:
        session.trust_env = False
        login = f"{base_url}/admin/login/"
        session.get(login, timeout=10).raise_for_status()
        form = {
            "username": username,
            "password": password,
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
            "next": "/admin/media_app/media/",
        }
        listing = session.post(login, data=form, headers={"Referer": login}, timeout=10)
        found = _MEDIA.search(listing.text)
        if listing.status_code != 200 or found is None:
            raise VisitError(
                f"the media list of the admin answered {listing.status_code} and shows no file"
            )
        url = f"{base_url}/media/{found[1]}/"
        answer = session.get(
            url, headers={"Range": f"bytes={first}-{last}"}, timeout=10
        )
        return Glance(
            url=url,
            status=answer.status_code,
            content_range=answer.headers.get("Content-Range", ""),
            body=answer.content,
        )
