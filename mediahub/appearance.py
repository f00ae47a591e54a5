"""The admin's appearance: colours, and the sidebar that django-unfold makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from mediahub.sections import SECTIONS, Section


def _viewer_of(app: str, model: str) -> Callable[[HttpRequest], bool]:
    """Whether the user of a request may view a model; whoever may change it may view it, too."""
    return lambda request: any(
        request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change")
    )


def _waiting_for_staff(model: str) -> Callable[[], int]:
    """The number beside a model's name in the sidebar, for unfold's template to call; 0 shows
    nothing.
    """

    def count() -> int:
        from mediahub.admin import waiting_for_staff

        return waiting_for_staff(model)

    return count


def _item(section: Section) -> dict[str, Any]:
    """A line of the sidebar."""
    return {
        "title": section.title,
        "icon": section.icon,
        "link": reverse_lazy(f"admin:{section.app}_{section.model}_changelist"),
        "permission": _viewer_of(section.app, section.model),
        "badge": _waiting_for_staff(section.model),
    }


UNFOLD = {
    "SITE_TITLE": "Mediahub",
    "SITE_HEADER": "Mediahub",
    "SITE_SYMBOL": "perm_media",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("mediahub/admin.css")],
    "DASHBOARD_CALLBACK": "mediahub.admin.front_page",
    "COLORS": {
        # A calm green: photos are the colourful part of these pages.
        "primary": {
            "50": "#f0fdfa",
            "100": "#ccfbf1",
            "200": "#99f6e4",
            "300": "#5eead4",
            "400": "#2dd4bf",
            "500": "#0d9488",
            "600": "#0f766e",
            "700": "#115e59",
            "800": "#134e4a",
            "900": "#113f3c",
            "950": "#042f2e",
        }
    },
    "SIDEBAR": {
        "navigation": [
            {"items": [_item(section) for section in SECTIONS]},
            {
                "title": "Administration",
                "separator": True,
                "items": [
                    {
                        "title": "Users",
                        "icon": "person",
                        "link": reverse_lazy("admin:auth_user_changelist"),
                        "permission": _viewer_of("auth", "user"),
                    },
                    {
                        "title": "Groups",
                        "icon": "groups",
                        "link": reverse_lazy("admin:auth_group_changelist"),
                        "permission": _viewer_of("auth", "group"),
                    },
                    {
                        "title": "Queues",
                        "icon": "reorder",
                        "link": reverse_lazy("admin:django_rq_dashboard_changelist"),
                        "permission": lambda request: request.user.has_perm(
                            "django_rq.admin"
                        ),
                    },
                ],
            },
        ]
    },
}
