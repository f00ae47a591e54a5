"""The roof of the admin: the front page, staff's accounts, and RQ's dashboard behind its permission."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from redis import RedisError
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from media_app.admin.machine_owned import list_url
from media_app.admin.tiles import tile
from media_app.models import Media
from messages_app.models import Contact, Delivery, Message, QuarantinedItem

NEWEST = 12
# Where the front page leads: model, title, icon, what is there.
_PLACES: tuple[tuple[type[Model], str, str, str], ...] = (
    (Media, "Media", "perm_media", "Every photo, video, voice note and document"),
    (Message, "Messages", "chat", "What was said, with its files in place"),
    (Contact, "Contacts", "group", "Who wrote, from which numbers"),
    (Delivery, "Deliveries", "move_to_inbox", "What providers sent, byte for byte"),
    (QuarantinedItem, "Quarantine", "report", "What could not be read, to be replayed"),
)
_GIVEN_UP = (Media.State.EXPIRED, Media.State.REJECTED, Media.State.MISSING)


def front_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What ``/admin/`` shows: the ways that are open to this user, what waits for somebody, the newest files."""
    may_view = {model for model, *_ in _PLACES if admin.site.get_model_admin(model).has_view_permission(request)}
    places = [
        {"url": list_url(model), "title": title, "icon": icon, "about": about}
        for model, title, icon, about in _PLACES
        if model in may_view
    ]
    waiting = []
    if Media in may_view and (count := Media.objects.filter(state__in=_GIVEN_UP).count()):
        waiting.append({"url": list_url(Media, state__exact=_GIVEN_UP), "text": f"Files not kept: {count}"})
    if QuarantinedItem in may_view and (count := QuarantinedItem.objects.count()):
        waiting.append({"url": list_url(QuarantinedItem), "text": f"Parts in quarantine: {count}"})
    newest = Media.objects.all()[:NEWEST] if Media in may_view else []
    return {**context, "places": places, "waiting": waiting, "tiles": [tile(media) for media in newest]}


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Django's own, in unfold's dress."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Django's own, in unfold's dress."""


@admin.register(Dashboard)
class GuardedQueueAdmin(QueueAdmin):
    """RQ's dashboard. Its own views let in anyone who is staff, to empty queues as well."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("django_rq.admin")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()  # type: ignore[no-untyped-call]
        for url in urls:
            url.callback = self._guarded(url.callback)
        return urls

    def _guarded(self, view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            # The anonymous are sent to the login page, or have their API token looked at, by the view itself.
            if request.user.is_authenticated and not self.has_view_permission(request):
                raise PermissionDenied
            try:
                return view(request, *args, **kwargs)
            except RedisError:
                return HttpResponse("The queue does not answer.", status=503, content_type="text/plain")

        return guarded
