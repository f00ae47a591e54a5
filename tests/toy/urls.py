"""The hub's addresses, and those of the third provider."""

from __future__ import annotations

from mediahub.urls import urlpatterns as addresses_of_the_hub
from messages_app.urls import webhooks_of
from tests.toy.provider import ToyProvider

urlpatterns = [*webhooks_of(ToyProvider()), *addresses_of_the_hub]
