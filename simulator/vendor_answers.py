"""Errors and refusals in the words of each vendor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from simulator.listener import Response, json_response


def meta_error(
    status: int, code: int, message: str, *, subcode: int | None = None
) -> Response:
    error: dict[str, Any] = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": uuid4().hex[:22],
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    return json_response(status, {"error": error})


def refused_by_meta() -> Response:
    return meta_error(
        401, 190, "Invalid OAuth access token - Cannot parse access token"
    )


def twilio_error(
    status: int, code: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_response(
        status,
        {"code": code, "message": message, "more_info": more, "status": status},
        headers,
    )


def refused_by_twilio() -> Response:
    return twilio_error(
        401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'}
    )


def text(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    body = f"{words}\n".encode()
    headers = {"Content-Type": "text/plain", **(headers or {})}
    return Response(status=status, headers=headers, length=len(body), chunks=(body,))


def json_object(body: bytes) -> dict[str, Any]:
    """What a JSON body says; nothing where it is no object."""
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(data, dict):
        return {}
    return data
