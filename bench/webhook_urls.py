"""The hub's addresses and ``/bare/``: the least that a webhook can do, verify and make one
INSERT.
"""

from __future__ import annotations

import hashlib

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from mediahub.urls import urlpatterns as hub
from messages_app.providers import IncomingRequest, provider

_INSERT = (
    "INSERT INTO messages_app_delivery (id, endpoint, content_type, query, body) VALUES "
    "(%s, %s, %s, %s, %s)"
)


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    body = request.body
    headers = {"x-hub-signature-256": request.headers["X-Hub-Signature-256"]}
    incoming = IncomingRequest(
        path=request.path, content_type="application/json", headers=headers, body=body
    )
    if not provider("meta").is_genuine(incoming):
        return HttpResponse(status=403)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [hashlib.sha256(body).hexdigest(), "bare", "application/json", "", body],
        )
    return HttpResponse()


urlpatterns = [path("bare/", bare), *hub]
