from __future__ import annotations

from django.urls import URLPattern, path

from messages_app import views, webhooks
from messages_app.providers import PROVIDERS, Provider


def webhooks_of(provider: Provider) -> list[URLPattern]:
    """The address of each endpoint of a provider."""
    return [
        path(
            f"webhooks/{endpoint.replace('-', '/')}/",
            webhooks.receive,
            {"endpoint": endpoint},
            name=f"webhook-{endpoint}",
        )
        for endpoint in provider.endpoints
    ]


urlpatterns = [
    *(address for each in PROVIDERS.values() for address in webhooks_of(each)),
    path(
        "api/media/messages/<uuid:message_id>/",
        views.file_of_message,
        name="message-file",
    ),
]
