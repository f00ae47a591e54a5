"""The admin as a whole: the front page, staff's accounts, and RQ's dashboard behind its
permission.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from redis import RedisError
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from media_app.admin.badges import MEDIA_TONES
from media_app.admin.lookups import ClosedLookups
from media_app.admin.machine_owned import list_url
from media_app.admin.tiles import tile
from media_app.admin.times import in_words
from media_app.models import Media
from mediahub import status_cache
from mediahub.alerts import Alert, alerts
from mediahub.sections import SECTIONS, Section
from mediahub.status import NOT_STORED, Status
from messages_app.models import Delivery, QuarantinedItem

NEWEST = 12
_WAITING: dict[str, Callable[[Status], int]] = {
    "media": lambda found: found.count(*NOT_STORED),
    "outboxitem": lambda found: found.unsent,
    "quarantineditem": lambda found: found.quarantined,
}
# Of an account: what only superusers may give.
_RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
# The front page has the rest.
_BANNERS = 3


def front_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What ``/admin/`` shows: the status of the hub, the sections that this user may view, the
    newest files.
    """
    places = [
        {
            "url": list_url(model),
            "title": section.title,
            "icon": section.icon,
            "about": section.about,
        }
        for section, model in _sections()
        if section.about and _may_view(request, model)
    ]
    if not _may_view(request, Media):
        return {**context, "places": places}
    found = status_cache.look()
    return {
        **context,
        "places": places,
        "tiles": [tile(media) for media in Media.objects.all()[:NEWEST]],
        "shows_status": True,
        "status": found,
        "alerts": _for_user(request, alerts(found)),
        "counts": _counts(request, found) if found else [],
    }


def _sections() -> list[tuple[Section, type[Model]]]:
    return [(each, apps.get_model(each.app, each.model)) for each in SECTIONS]


def on_every_page(request: HttpRequest) -> dict[str, Any]:
    """Context of all templates. It looks only where one asks, and that is in the admin's pages."""
    return {"banners": partial(_banners, request)}


def waiting_for_staff(model: str) -> int:
    """How many rows of a model nobody but staff can settle."""
    if model not in _WAITING:
        return 0
    found = status_cache.current()
    if found is None:
        return 0
    return _WAITING[model](found)


def _banners(request: HttpRequest) -> list[dict[str, Any]]:
    """What is wrong now, for those who may see files."""
    if not _may_view(request, Media):
        return []
    now = [alert for alert in alerts(status_cache.current()) if alert.is_now]
    return _for_user(request, now)[:_BANNERS]


def _for_user(request: HttpRequest, found: list[Alert]) -> list[dict[str, Any]]:
    """Alerts with those of their links that the user may follow."""
    return [
        {
            "alert": alert,
            "links": [link for link in alert.links if _may_view(request, link.model)],
        }
        for alert in found
    ]


def _counts(request: HttpRequest, found: Status) -> list[dict[str, Any]]:
    """The columns of the table: what, how many, how long the oldest of them has waited."""
    columns = [_files_in(state, found) for state in Media.WAITING]
    # Those wait for nothing.
    columns += [{**_files_in(state, found), "oldest": None} for state in NOT_STORED]
    if _may_view(request, Delivery):
        url = list_url(Delivery, state__exact=Delivery.State.RECEIVED)
        unread = {
            "label": "deliveries not read",
            "tone": "busy",
            "count": found.unread,
            "url": url,
        }
        columns.append({**unread, "oldest": found.unread_since})
    if _may_view(request, QuarantinedItem):
        quarantined = {
            "label": "parts in quarantine",
            "tone": "bad",
            "count": found.quarantined,
        }
        columns.append(
            {**quarantined, "url": list_url(QuarantinedItem), "oldest": None}
        )
    for column in columns:
        column["age"] = ""
        if column["oldest"]:
            column["age"] = in_words(found.at - column["oldest"])
    return columns


def _files_in(state: Media.State, found: Status) -> dict[str, Any]:
    return {
        "label": state.label,
        "tone": MEDIA_TONES[state],
        "count": found.count(state),
        "url": list_url(Media, state__exact=state),
        "oldest": found.oldest(state),
    }


def _may_view(request: HttpRequest, model: type[Model]) -> bool:
    return admin.site.get_model_admin(model).has_view_permission(request)


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(ClosedLookups, UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Django's own, in unfold's dress."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def get_readonly_fields(
        self, request: HttpRequest, obj: User | None = None
    ) -> tuple[str, ...]:
        """Rights are given by superusers."""
        fields = tuple(super().get_readonly_fields(request, obj))
        if _is_superuser(request):
            return fields
        return (*fields, *_RIGHTS)

    def has_change_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        return super().has_change_permission(request, obj) and _may_act_for(
            request, obj
        )

    def has_delete_permission(
        self, request: HttpRequest, obj: User | None = None
    ) -> bool:
        return super().has_delete_permission(request, obj) and _may_act_for(
            request, obj
        )


def _may_act_for(request: HttpRequest, account: User | None) -> bool:
    """Nobody takes over an account that may do more than their own, by giving it another
    password.
    """
    if account is None or _is_superuser(request):
        return True
    return (
        not account.is_superuser
        and account.get_all_permissions() <= request.user.get_all_permissions()
    )


def _is_superuser(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_superuser


@admin.register(Group)
class StaffGroupAdmin(ClosedLookups, GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Django's own, in unfold's dress. Who changes a group gives rights to its members."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return _is_superuser(request)

    def has_delete_permission(
        self, request: HttpRequest, obj: Group | None = None
    ) -> bool:
        return _is_superuser(request)


@admin.register(Dashboard)
class GuardedQueueAdmin(ClosedLookups, QueueAdmin):
    """RQ's dashboard. Its own views let in anyone who is staff, to empty queues as well."""

    def has_view_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return request.user.has_perm("django_rq.admin")

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        """Those of RQ. A dashboard has no rows and no table: pages of single rows would only
        fail.
        """
        every: list[URLPattern] = super().get_urls()  # type: ignore[no-untyped-call]
        urls = [url for url in every if "object_id" not in url.pattern.converters]
        for url in urls:
            url.callback = self._guarded(url.callback)
        return urls

    def _guarded(
        self, view: Callable[..., HttpResponseBase]
    ) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(
            request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponseBase:
            # The anonymous are sent to the login page, or have their API token looked at, by the
            # view itself.
            if request.user.is_authenticated and not self.has_view_permission(request):
                raise PermissionDenied
            try:
                return view(request, *args, **kwargs)
            except RedisError:
                return HttpResponse(
                    "The queue does not answer.", status=503, content_type="text/plain"
                )
            except IndexError as error:
                # Queues are named by their place in a list; RQ's views look for most of them
                # without care.
                raise Http404("There is no such queue.") from error

        return guarded
