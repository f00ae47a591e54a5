from __future__ import annotations

import pytest
from pytest_django import Settings

from messages_app.providers.base import Cause, IncomingRequest
from messages_app.providers.meta_signature import refusal, refusal_of_headers

SIGNED = {"x-hub-signature-256": f"sha256={'0' * 64}"}


@pytest.mark.parametrize(
    ("secrets", "headers", "cause"),
    [
        ([], SIGNED, Cause.NOT_SET),
        ([""], SIGNED, Cause.NOT_SET),
        (["a-secret"], {}, Cause.UNSIGNED),
        (["a-secret"], {"x-hub-signature-256": "sha1=0"}, Cause.UNSIGNED),
        (["", "a-secret"], SIGNED, Cause.WRONG_SIGNATURE),
    ],
)
def test_a_refusal_has_its_cause(
    settings: Settings, secrets: list[str], headers: dict[str, str], cause: Cause
) -> None:
    settings.META_APP_SECRET = secrets
    request = IncomingRequest(
        path="/webhooks/meta/", content_type="", headers=headers, body=b"{}"
    )
    assert refusal(request).cause == cause
    # The body of a request whose headers are refused is not read.
    refused = refusal_of_headers(headers)
    assert (refused is None) == (cause == Cause.WRONG_SIGNATURE)
