from __future__ import annotations

from django.urls import path

from messages_app import views, webhooks

urlpatterns = [
    path("webhooks/meta/", webhooks.receive, {"endpoint": "meta"}, name="webhook-meta"),
    path(
        "webhooks/twilio/",
        webhooks.receive,
        {"endpoint": "twilio"},
        name="webhook-twilio",
    ),
    path(
        "webhooks/twilio/status/",
        webhooks.receive,
        {"endpoint": "twilio-status"},
        name="webhook-twilio-status",
    ),
    path(
        "api/media/messages/<uuid:message_id>/",
        views.file_of_message,
        name="message-file",
    ),
]
