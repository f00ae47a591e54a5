"""Which filters an address of a list may name."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin.filters import SimpleListFilter
from django.http import HttpRequest


class ClosedLookups:
    """A ModelAdmin whose list takes its own filters and ``linked_lookups``; any other lookup is
    answered 400.

    Django allows every lookup on a model's own fields. With ``?said__regex=`` somebody who may see
    the list reads values that no page shows them, one character at a time.
    """

    #: What links of our own pages filter by besides.
    linked_lookups: ClassVar[tuple[str, ...]] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in self.linked_lookups or lookup in self._lookups_of_filters(
            request
        )

    def _lookups_of_filters(self, request: HttpRequest) -> set[str]:
        own: Any = self
        allowed: set[str] = set()
        for item in own.get_list_filter(request):
            if isinstance(item, type) and issubclass(item, SimpleListFilter):
                allowed.add(item.parameter_name or "")
                continue
            field = item[0] if isinstance(item, (list, tuple)) else item
            endings = ("", "__exact", "__isnull", "__id__exact", "_from", "_to")
            allowed |= {f"{field}{ending}" for ending in endings}
        return allowed
