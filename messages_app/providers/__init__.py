"""The providers by name. A new one is added here, and as a source of the same name in
media_app.sources.
"""

from __future__ import annotations

from collections.abc import Mapping

from messages_app.providers.base import IncomingRequest, Provider, RawDelivery
from messages_app.providers.meta import MetaProvider
from messages_app.providers.twilio import TwilioProvider

__all__ = [
    "PROVIDERS",
    "IncomingRequest",
    "Provider",
    "RawDelivery",
    "provider",
    "provider_of",
]

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider for provider in (MetaProvider(), TwilioProvider())
}


def provider_of(endpoint: str) -> Provider:
    """The provider of an endpoint: ``twilio`` for ``twilio`` and ``twilio-status``. Raises
    ValueError.
    """
    return provider(endpoint.partition("-")[0])


def provider(name: str) -> Provider:
    """The provider of this name. Raises ValueError for an unknown one."""
    if name not in PROVIDERS:
        raise ValueError(
            f"no provider is called {name!r}; there are {', '.join(PROVIDERS)}"
        )
    return PROVIDERS[name]
