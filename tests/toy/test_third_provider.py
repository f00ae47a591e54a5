"""A provider that the product does not know, added as CONTRIBUTING.md says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from media_app.ingest import ingest_next
from media_app.models import Media
from media_app.sources import SOURCES
from messages_app import inbox, outbox
from messages_app.models import Message, OutboxItem
from messages_app.providers import PROVIDERS
from simulator.content import Kind, content
from simulator.listener import Listener, Request, Response, json_response
from simulator.processes import free_port
from tests.messages.mail import CLIENT
from tests.toy import urls
from tests.toy.provider import ToyProvider, signature
from tests.toy.source import ToySource

PHOTO = content(Kind.PHOTO, 1).body
NUMBER = "+14335551212"
SECRET, TOKEN = "toy-secret", "toy-token"

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


class ToyApi:
    """Toy's API with one photo, and the texts that it was sent."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.texts: list[str] = []
        self.listener = Listener(port, self._answer)

    def _answer(self, request: Request) -> Response:
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return json_response(401, {})
        if request.method == "POST":
            self.texts.append(json.loads(request.body)["text"])
            return json_response(200, {"id": "toy-reply-1"})
        headers = {"Content-Type": "image/jpeg"}
        return Response(status=200, headers=headers, length=len(PHOTO), chunks=[PHOTO])


@pytest.fixture
def toy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyApi]:
    """Toy is registered while the test runs, where PROVIDERS and SOURCES are written."""
    api = ToyApi()
    monkeypatch.setitem(PROVIDERS, "toy", ToyProvider(api.url, TOKEN, SECRET))
    monkeypatch.setitem(SOURCES, "toy", ToySource(api.url, TOKEN))
    settings.ROOT_URLCONF, settings.SESSION_START = urls.__name__, "photo"
    api.listener.start()
    yield api
    api.listener.stop()


def post(toy: ToyApi, secret: str = SECRET) -> int:
    """The status of a delivery of one photo."""
    message = {
        "account": "toy-account",
        "id": "toy-1",
        "kind": "image",
        "at": int(time.time()) - 10,
        "from": NUMBER,
        "text": "the left door",
        "files": [{"link": f"{toy.url}/photo", "type": "image/jpeg"}],
    }
    body = json.dumps(message).encode()
    return CLIENT.post(
        "/webhooks/toy/",
        body,
        content_type="application/json",
        headers={"X-Toy-Signature": signature(secret, body)},
    ).status_code


def test_a_signed_photo_is_stored_and_answered(toy: ToyApi, media_root: Path) -> None:
    assert post(toy) == 200
    inbox.drain()
    assert Message.objects.get().text == "the left door"
    ingest_next()
    assert (media_root / Media.objects.get().key).read_bytes() == PHOTO
    outbox.send_due()
    assert [text.partition("!")[0] for text in toy.texts] == ["Got it"]
    assert OutboxItem.objects.get().provider_message_id == "toy-reply-1"


def test_a_forged_delivery_is_refused(toy: ToyApi) -> None:
    assert post(toy, "another secret") == 403
