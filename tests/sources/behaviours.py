"""What the hostile provider can do, by name."""

from __future__ import annotations

from collections.abc import Callable

from tests.sources.calls import PACE, Call

Behaviour = Callable[[Call], None]
CHUNKED = "Transfer-Encoding: chunked"


def unknown(call: Call) -> None:
    call.answer(501, b"no such behaviour")


def _chunked(call: Call) -> None:
    rest = call.body[len(call.half) :]
    parts = (b"%x\r\n%s\r\n" % (len(part), part) for part in (call.half, rest, b""))
    call.head(200, CHUNKED, then=b"".join(parts))
    call.keeps_alive = True


def _photo_once(call: Call) -> None:
    """The connection seems to live on, and is closed when the next request comes."""
    call.answer(200, call.body)
    call.wait_for_more()
    call.keeps_alive = False


def _photo_once_then_reset(call: Call) -> None:
    _photo_once(call)
    call.reset()


def _204_and_a_body(call: Call) -> None:
    """An answer that may have no body has one, which comes with the next request and looks like its
    answer.
    """
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    call.head(204, f"Content-Length: {len(smuggled)}")
    call.wait_for_more()
    call.send(smuggled)
    call.keeps_alive = True


def _reset_mid_body(call: Call) -> None:
    call.head(200, call.length, then=call.body[:100])
    call.reset()


def _drip_body(call: Call) -> None:
    call.head(200, call.length)
    call.drip(call.body)


def _drip_close_delimited(call: Call) -> None:
    call.head(200)
    call.drip(call.body)


def _drip_chunk_sizes(call: Call) -> None:
    """A chunk's length that goes on and on: no byte of the body ever comes."""
    call.head(200, CHUNKED)
    call.drip(b"0" * 10_000)


def _drip_headers(call: Call) -> None:
    call.drip(b"X-Drip: " + b"a" * 10_000, after=b"HTTP/1.1 200 OK\r\n")


def _drip_error(call: Call) -> None:
    call.head(404, "Content-Length: 10000")
    call.drip(b"x" * 10_000)


def _stalled_body(call: Call) -> None:
    call.head(200, call.length, then=call.body[:100])
    call.stay_silent()


def _endless(call: Call) -> None:
    call.head(200, CHUNKED)
    call.flood()


def _endless_continue(call: Call) -> None:
    while not call.provider.stopping.wait(PACE):
        call.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def _redirect_endless(call: Call) -> None:
    """To ``provider.target``, with a body that has no end."""
    call.head(302, CHUNKED, f"Location: {call.provider.target}")
    call.flood()


def _redirect_user(call: Call) -> None:
    call.redirect(call.provider.url("photo").replace("//", "//user:password@"))


def _status(status: int, *headers: str) -> Behaviour:
    return lambda call: call.answer(status, b"no", *headers)


BEHAVIOURS: dict[str, Behaviour] = {
    # The file, whole.
    "photo": lambda call: call.answer(200, call.body),
    "chunked": _chunked,
    "close-delimited": lambda call: call.head(200, then=call.body),
    "html": lambda call: call.html(),
    "empty": lambda call: call.answer(200),
    "other-bytes": lambda call: call.answer(200, call.body[::-1]),
    "photo-once": _photo_once,
    "photo-once-then-reset": _photo_once_then_reset,
    "204-and-a-body": _204_and_a_body,
    # Not whole. Of chunks the last one never comes; and half a file without a length, HTTP can't
    # tell from a whole one.
    "truncated": lambda call: call.head(200, call.length, then=call.half),
    "truncated-chunked": lambda call: call.head(
        200, CHUNKED, then=b"%x\r\n%s\r\n" % (len(call.body), call.body)
    ),
    "truncated-in-a-chunk": lambda call: call.head(
        200, CHUNKED, then=b"%x\r\n%s" % (len(call.body), call.half)
    ),
    "truncated-close-delimited": lambda call: call.head(200, then=call.half),
    "reset-mid-body": _reset_mid_body,
    "reset-at-once": lambda call: call.reset(),
    "garbage": lambda call: call.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "malformed-header": lambda call: call.head(200, "no colon here", then=call.body),
    "gzip": lambda call: call.answer(
        200, b"\x1f\x8b" + call.body, "Content-Encoding: gzip"
    ),
    "gzip-transfer": lambda call: call.head(
        200, "Transfer-Encoding: gzip, chunked", then=b"2\r\n\x1f\x8b\r\n0\r\n\r\n"
    ),
    # Never ending.
    "drip-body": _drip_body,
    "drip-close-delimited": _drip_close_delimited,
    "drip-chunk-sizes": _drip_chunk_sizes,
    "drip-headers": _drip_headers,
    "drip-status": lambda call: call.drip(b"HTTP/1.1 200 " + b"O" * 10_000),
    "drip-error": _drip_error,
    "slow-headers": lambda call: call.stay_silent(),
    "stalled-body": _stalled_body,
    "endless": _endless,
    "endless-continue": _endless_continue,
    # Redirects: to ``provider.target``, and to the photo on this same host by a relative address.
    "redirect": lambda call: call.redirect(call.provider.target),
    "redirect-here": lambda call: call.redirect("photo"),
    "redirect-endless": _redirect_endless,
    "redirect-metadata": lambda call: call.redirect("http://169.254.169.254/latest/"),
    "redirect-user": _redirect_user,
    "redirect-file": lambda call: call.redirect("file:///etc/passwd"),
    "redirect-loop": lambda call: call.redirect(call.request.path),
    "redirect-nowhere": lambda call: call.answer(302),
    # What the Graph API says, by (HTTP status, code, subcode).
    "api-gone": lambda call: call.graph_error(400, 100, 33),
    "api-parameter": lambda call: call.graph_error(400, 100),
    "api-token": lambda call: call.graph_error(400, 190, 463),
    "api-permission": lambda call: call.graph_error(400, 10),
    "api-permission-200": lambda call: call.graph_error(400, 299),
    "api-throttled": lambda call: call.graph_error(400, 80007, 0, "Retry-After: 7"),
    "api-throttled-403": lambda call: call.graph_error(403, 4),
    "api-error-200": lambda call: call.graph_error(200, 190),
    "api-html": lambda call: call.html(),
    "api-list": lambda call: call.json(200, ["url"]),
    "api-no-url": lambda call: call.json(200, {"id": "1"}),
    "api-nested": lambda call: call.answer(200, b"[" * 60_000),
    "api-huge": lambda call: call.json(200, {"url": "x" * 100_000}),
    "api-redirect": lambda call: call.redirect(call.provider.target),
    "api-drip": _drip_headers,
    # An answer that is read well, and says little.
    "json": lambda call: call.json(200, {"error": "Try again later."}),
}
for _code in (204, 304, 400, 401, 403, 404, 410, 500, 503):
    BEHAVIOURS[str(_code)] = BEHAVIOURS[f"api-{_code}"] = _status(_code)
BEHAVIOURS["429"] = BEHAVIOURS["api-429"] = _status(429, "Retry-After: 7")
