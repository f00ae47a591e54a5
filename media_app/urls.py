from __future__ import annotations

from django.urls import path

from media_app import views

urlpatterns = [
    path("media/<uuid:media_id>/", views.original, name="media"),
    path("media/<uuid:media_id>/preview/", views.preview, name="media-preview"),
]
