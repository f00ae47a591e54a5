"""The webhook endpoints: verify a delivery, store it, answer. Nothing is parsed here.

A delivery that can't be read can be replayed later; one that is not committed is not acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast

from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from media_app.database_errors import described
from media_app.failpoints import failpoint
from messages_app.drain_requests import drain_requests
from messages_app.models import Delivery
from messages_app.providers import IncomingRequest, provider_of
from messages_app.refusals import refusals

log = logging.getLogger(__name__)

# Connections of their own: slow pages, or pages that wait for a lock, can't use them up.
DATABASE = "webhooks"
# At most so much of a refused body is read and discarded: a sender sees the answer only when it has
# written its body.
DISCARDED_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 10
_CHUNK = 64 * 1024


class BodyTooLargeError(Exception):
    """The body is over the cap."""


class BodyBrokenError(Exception):
    """The body ended early, or its chunks are malformed."""


@csrf_exempt
def receive(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Store a signed delivery and answer 200.

    400 cut off, 403 unsigned, 413 too large, 503 when it can't be committed: send it again.
    """
    provider = provider_of(endpoint)
    if request.method == "GET" and provider.has_handshake:
        return _answer_handshake(request, endpoint)
    if request.method != "POST":
        if provider.has_handshake:
            allowed = ["GET", "POST"]
        else:
            allowed = ["POST"]
        return HttpResponseNotAllowed(allowed)
    # Before the body: a sender without a signature must not make us hold and decode it.
    if refusal := provider.refusal_of_headers(request.headers):
        _discard_body(_stream(request))
        refusals.record(endpoint, refusal, using=DATABASE)
        return _refuse(403, "The signature is missing or wrong.")
    try:
        body = _read(request, provider.max_bytes)
    except BodyTooLargeError:
        # What is left of the body after DISCARDED_BYTES stays unread: the server closes the
        # connection.
        return _refuse(413, f"A delivery may have {provider.max_bytes:,} bytes.")
    except BodyBrokenError:
        return _refuse(400, "The body could not be read to its end.")
    content_type = request.headers.get("Content-Type", "")
    query = request.META.get("QUERY_STRING", "")
    incoming = _incoming(request, content_type, body)
    if not provider.is_genuine(incoming):
        refusals.record(endpoint, provider.refusal(incoming), using=DATABASE)
        return _refuse(403, "The signature is missing or wrong.")
    if not _store(endpoint, content_type, query, body):
        response = _refuse(503, "The delivery could not be kept. Send it again.")
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    drain_requests.add()
    failpoint("webhook_after_request")
    answer, answer_type = provider.acknowledgement
    return HttpResponse(answer, content_type=answer_type)


def _answer_handshake(request: HttpRequest, endpoint: str) -> HttpResponse:
    provider = provider_of(endpoint)
    challenge = provider.challenge(request.GET)
    if challenge is None:
        reason = provider.handshake_refusal
        log.warning("handshake refused", extra={"endpoint": endpoint, "reason": reason})
        return _refuse(403, "The verify token is not ours.")
    return HttpResponse(challenge, content_type="text/plain")


def _store(endpoint: str, content_type: str, query: str, body: bytes) -> bool:
    """Commit the delivery; False, after an error that is logged."""
    failpoint("webhook_before_commit")
    try:
        Delivery.objects.using(DATABASE).store(
            endpoint=endpoint, content_type=content_type, query=query, body=body
        )
    except Error as error:
        log.error(
            "a delivery could not be kept",
            extra={"endpoint": endpoint, "error": described(error)},
        )
        return False
    failpoint("webhook_after_commit")
    return True


def _incoming(request: HttpRequest, content_type: str, body: bytes) -> IncomingRequest:
    # The path as it was sent: the signature covers these bytes, not Django's decoded path.
    path = request.META.get("RAW_URI") or request.get_full_path()
    return IncomingRequest(
        path=path, content_type=content_type, headers=request.headers, body=body
    )


def _stream(request: HttpRequest) -> BinaryIO:
    """The unread body."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not length and request.META.get("wsgi.input_terminated"):
        # Django reads nothing of a body without a length; the server knows where it ends.
        return cast(BinaryIO, request.META["wsgi.input"])
    return cast(BinaryIO, request)


def _read(request: HttpRequest, max_bytes: int) -> bytes:
    """The whole body, chunked ones included.

    Raises BodyTooLargeError after discarding a part of it, BodyBrokenError where it has no end.
    """
    stream = _stream(request)
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) > max_bytes:
        _discard_body(stream)
        raise BodyTooLargeError
    body = b"".join(_parts(stream, max_bytes + 1))
    if len(body) > max_bytes:
        _discard_body(stream)
        raise BodyTooLargeError
    return body


def _discard_body(stream: BinaryIO) -> None:
    """Read what is left of a refused body, up to DISCARDED_BYTES."""
    with suppress(BodyBrokenError):
        for _ in _parts(stream, DISCARDED_BYTES):
            pass


def _parts(stream: BinaryIO, limit: int) -> Iterator[bytes]:
    """At most so many bytes of a body. Raises BodyBrokenError."""
    while limit > 0:
        try:
            part = stream.read(min(_CHUNK, limit))
        except Exception as error:
            # Each server raises errors of its own here.
            raise BodyBrokenError from error
        if not part:
            return
        limit -= len(part)
        yield part


def _refuse(status: int, reason: str) -> HttpResponse:
    return HttpResponse(reason, status=status, content_type="text/plain")
