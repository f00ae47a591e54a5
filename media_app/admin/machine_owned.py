"""Pages of rows that only machines write: staff read them, and start actions."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import ShowFacets
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.admin import ModelAdmin

from media_app.admin.lookups import ClosedLookups


class MachineOwnedAdmin(ClosedLookups, ModelAdmin):  # type: ignore[misc]
    """Rows that only machines write: no adding, changing or deleting, not even for superusers.

    The view permission gives access. Staff can only run verbs: a verb is an ordinary list
    action with ``permissions=["verb"]``. It takes the model's change permission, although
    nothing can be edited, and has a button on the page of each row as well.
    """

    change_form_template = "admin/machine_owned/page.html"
    list_filter_submit = True
    list_per_page = 50
    # Counting each choice reads whole tables, and unfold counts wrongly where several may be
    # chosen.
    show_facets = ShowFacets.NEVER
    #: What stands above the facts of a page, with what ``page_context`` gives it.
    head_template = ""
    #: What stands below them.
    foot_template = ""
    #: The one of the searched fields where numbers are found however they are typed.
    number_field = ""

    def has_add_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_verb_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return request.user.has_perm(
            f"{self.opts.app_label}.{get_permission_codename('change', self.opts)}"
        )

    def may_view(self, request: HttpRequest, model: type[Model]) -> bool:
        """Whether this user may see another model's rows on this page."""
        return self.admin_site.get_model_admin(model).has_view_permission(request)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the head of the row's page needs."""
        return {}

    def offers(self, verb: str, row: Any) -> bool:
        """Whether the verb makes sense for this row."""
        return True

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def get_actions(self, request: HttpRequest) -> Any:
        """Each action leaves an entry for each row in Django's log of what staff did."""
        actions: dict[str, Any] = super().get_actions(request)
        return {
            verb: (_logged(run, str(label)), verb, label)
            for verb, (run, _, label) in actions.items()
        }

    def get_urls(self) -> list[URLPattern]:
        verb = path(
            "<path:object_id>/verb/<slug:verb>/",
            self.admin_site.admin_view(self.run_verb),
            name=self._verb_url_name,
        )
        return [verb, *super().get_urls()]

    def run_verb(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """A list action for the one row whose page it was pressed on."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        action = self.get_actions(request).get(verb)
        if action is None:
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404("There is no such row.")
        run: Any = action[0]
        run(self, request, self.get_queryset(request).filter(pk=row.pk))
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        if self.get_object(request, object_id) is None:
            # Some verbs remove the row.
            return redirect(f"{page}_changelist")
        return redirect(f"{page}_change", object_id)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["head_template"] = self.head_template
        context["foot_template"] = self.foot_template
        context["verbs"] = [
            {
                "label": action[2],
                "url": reverse(f"admin:{self._verb_url_name}", args=[obj.pk, verb]),
            }
            for verb, action in self.get_actions(request).items()
            if action and self.offers(verb, obj)
        ]
        context.update(self.page_context(request, obj))
        response: HttpResponse = super().render_change_form(
            request, context, add, change, form_url, obj
        )
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, duplicates = super().get_search_results(request, queryset, search_term)
        digits = number_fragment(search_term)
        if digits and self.number_field:
            found |= queryset.filter(**{f"{self.number_field}__contains": digits})
        return found, duplicates

    @property
    def _verb_url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_verb"


def _logged(run: Callable[..., Any], label: str) -> Callable[..., Any]:
    @wraps(run)
    def logged(
        own: MachineOwnedAdmin, request: HttpRequest, queryset: QuerySet[Any]
    ) -> Any:
        # First: what it does may take the rows out of the selection.
        LogEntry.objects.log_actions(request.user.pk or 0, queryset, CHANGE, label)
        return run(own, request, queryset)

    return logged


def number_fragment(term: str) -> str:
    """The digits of what looks like a written telephone number or a part of one, else ""."""
    if not re.fullmatch(r"\+?[\d\s()./-]+", term.strip()):
        return ""
    digits = re.sub(r"\D", "", term)
    if len(digits) < 3:
        return ""
    return digits


def change_url(row: Model) -> str:
    """The address of a row's page."""
    return reverse(
        f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk]
    )


def list_url(model: type[Model], **filters: object) -> str:
    """The address of a model's list, filtered."""
    url = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")
    if not filters:
        return url
    return f"{url}?{urlencode(filters, doseq=True)}"
