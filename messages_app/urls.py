from __future__ import annotations

from django.urls import path

from messages_app import views, webhooks
from messages_app.providers import PROVIDERS

urlpatterns = [
    path(
        f"webhooks/{endpoint.replace('-', '/')}/",
        webhooks.receive,
        {"endpoint": endpoint},
        name=f"webhook-{endpoint}",
    )
    for provider in PROVIDERS.values()
    for endpoint in provider.endpoints
] + [
    path(
        "api/media/messages/<uuid:message_id>/",
        views.file_of_message,
        name="message-file",
    ),
]
