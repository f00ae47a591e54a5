"""Filters of the lists."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from unfold.contrib.filters.admin import CheckboxFilter, RangeDateFilter
from unfold.widgets import INPUT_CLASSES

from media_app.admin.tiles import KINDS


class DayRangeForm(forms.Form):
    """Two of the browser's own date fields."""

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for end in ("from", "to"):
            attributes = {
                "type": "date",
                "aria-label": end.capitalize(),
                "class": " ".join(INPUT_CLASSES),
            }
            self.fields[f"{name}_{end}"] = forms.CharField(
                required=False, label="", widget=forms.TextInput(attributes)
            )


class DayRangeFilter(RangeDateFilter):
    """From the start of one day to the end of another, in the hub's time zone; both days are
    included.
    """

    form_class = DayRangeForm  # type: ignore[assignment]  # the interface is the same

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._day("from"), self._day("to")
        if first:
            queryset = queryset.filter(
                **{f"{self.parameter_name}__gte": _midnight(first)}
            )
        if last:
            queryset = queryset.filter(
                **{f"{self.parameter_name}__lt": _midnight(last + timedelta(days=1))}
            )
        return queryset

    def _day(self, end: str) -> date | None:
        """The day, or None where there is no valid one."""
        try:
            day = parse_date(
                str(self.used_parameters.get(f"{self.parameter_name}_{end}") or "")
            )
        except ValueError:
            return None
        # The next day, or its midnight in UTC, may be no date of any calendar.
        return day if day and date.min.year < day.year < date.max.year else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


class TypeFilter(CheckboxFilter):
    """By what a file is, or is announced to be."""

    title = "type"
    parameter_name = "type"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [(group, kind.word) for group, kind in KINDS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = [group for group in self.value() or () if group in KINDS]
        if not wanted:
            return queryset
        known = Coalesce(NullIf(F("content_type"), Value("")), F("announced_type"))
        groups = {
            group: Q(known_type__istartswith=f"{group}/")
            for group in KINDS
            if group != "document"
        }
        groups["document"] = ~(groups["image"] | groups["video"] | groups["audio"])
        chosen = Q()
        for group in wanted:
            chosen |= groups[group]
        filtered: QuerySet[Any] = queryset.alias(known_type=known).filter(chosen)
        return filtered
