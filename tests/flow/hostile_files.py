"""Files that a stranger sends so that his script runs in the browser of those who look at them."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.content import Kind, content
from tests.flow.shelf import Sent

#: Where the scripts ask, each below its file's name.
CANARY = "/canary/"


@dataclass(frozen=True, slots=True)
class Hostile:
    sent: Sent
    #: As what it would have to be served to do its harm.
    hoped_for: str


def _script(name: str) -> str:
    """It can be told by the page's title, by a dialog and by a request."""
    return f"document.title = '{name}'; fetch('{CANARY}{name}'); alert('{name}');"


def _page(name: str) -> bytes:
    return f"<!doctype html><title>A photo</title><body><script>{_script(name)}</script>".encode()


def _svg(name: str) -> bytes:
    """Both ways: a script, and what happens on loading."""
    script = _script(name)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'onload="{script}"><script>{script}</script></svg>'
    ).encode()


def _gif_and_script(name: str) -> bytes:
    """A GIF that is 10,799 pixels wide, because that is how a comment begins."""
    return (
        b"GIF89a/*\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff*/=1;"
        + _script(name).encode()
    )


def _photo_and_page(name: str) -> bytes:
    """A real photo with a page in its comment, and again after its end."""
    photo, page = content(Kind.PHOTO, 2).body, _page(name)
    comment = b"\xff\xfe" + (len(page) + 2).to_bytes(2) + page
    return photo[:2] + comment + photo[2:] + page


HOSTILE = {
    "svg": Hostile(Sent(_svg("svg"), "image/svg+xml", "logo.svg"), "image/svg+xml"),
    "page": Hostile(Sent(_page("page"), "text/html", "offer.html"), "text/html"),
    "page-as-photo": Hostile(Sent(_page("page-as-photo"), "image/jpeg"), "text/html"),
    "svg-as-photo": Hostile(Sent(_svg("svg-as-photo"), "image/png"), "image/svg+xml"),
    "gif-and-script": Hostile(
        Sent(_gif_and_script("gif-and-script"), "image/gif"), "text/javascript"
    ),
    "photo-and-page": Hostile(
        Sent(_photo_and_page("photo-and-page"), "image/jpeg"), "text/html"
    ),
    "notes": Hostile(
        Sent(_script("notes").encode(), "text/plain", "notes.txt"), "text/javascript"
    ),
    "script": Hostile(
        Sent(_script("script").encode(), "text/javascript", "menu.js"),
        "text/javascript",
    ),
}
