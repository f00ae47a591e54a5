"""Whatever stands in an address, the answer is a page, or says that the address is wrong: no fault
of the server's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from redis import Redis

from media_app.admin.machine_owned import list_url
from media_app.models import Media
from tests.admin.rows import make_contact, make_media, make_message

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]

# As they stand in an address: for readers of numbers, days, ids, choices and words. Raw bytes as a
# server passes them.
VALUES = (
    "a%00b",
    "\xe9\xff",
    "%F0%9F%93%B7%E2%80%AE",
    "9999-12-31",
    "0001-01-01",
    "9" * 3900,
)
IN_PATHS = ("%00", "%FF", "%F0%9F%93%B7", "9999-12-31", "99999999999999999999", "_00")
# Of all lists, so that one is asked for all of them; the last two are none's.
ENDINGS = ("", "__exact", "__isnull", "__id__exact", "_from", "_to")
PARAMETERS = ("p", "o", "e", "all", "_facets", "_popup", "_to_field", "page", "id__gt")


def paths(resolver: URLResolver, before: str = "") -> Iterator[str]:
    """Every route that has a place for a value."""
    for pattern in resolver.url_patterns:
        route = f"{before}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from paths(pattern, route)
        elif isinstance(pattern, URLPattern) and "<" in route:
            yield route


def filled(route: str, value: str) -> str:
    start, *places = route.replace("^", "").replace("$", "").split("<")
    return f"/{start}" + "".join(value + place.partition(">")[2] for place in places)


def parameters(model: type[Model]) -> list[str]:
    """The names that the model's list reads beside those of all lists."""
    own: Any = admin.site.get_model_admin(model)
    found = ["q", *getattr(own, "linked_lookups", ())]
    for item in own.list_filter:
        name = (
            item[0]
            if isinstance(item, tuple)
            else getattr(item, "parameter_name", item)
        )
        found += [
            lookup
            for end in ENDINGS
            if own.lookup_allowed(lookup := f"{name}{end}", "", None)
        ]
    if own.date_hierarchy:
        found += [
            f"{own.date_hierarchy}__{part}"
            for part in ("year", "month", "day", "gte", "lt")
        ]
    return found


def choices_only(response: SimpleTemplateResponse) -> str:
    """What a list's filters offer, without the page around it: drawing it takes most of the
    time.
    """
    changes = (response.context_data or {}).get("cl")
    offered = (
        [list(spec.choices(changes)) for spec in changes.filter_specs]
        if changes
        else []
    )
    return str(offered)


def failing(
    browser: Client, addresses: Iterator[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Those of the paths and queries that are answered with a fault of the server's."""
    asked = {
        (path, query): browser.get(path, QUERY_STRING=query).status_code
        for path, query in addresses
    }
    assert len(asked) > 400
    return {
        (path[:120], query[:60])
        for (path, query), status in asked.items()
        if status >= 500
    }


@pytest.fixture
def browser(superuser: Client, redis: Redis) -> Iterator[Client]:
    """It may see everything, the queues as well, and there is something to see."""
    make_message(make_contact(), make_media(), text="the kitchen")
    superuser.raise_request_exception = False
    # The tracebacks of all refusals would take most of the time.
    logging.disable(logging.CRITICAL)
    yield superuser
    logging.disable(logging.NOTSET)


def test_no_value_in_a_path_breaks_a_page(browser: Client) -> None:
    routes = set(paths(get_resolver()))
    addresses = ((filled(route, value), "") for route in routes for value in IN_PATHS)
    assert failing(browser, addresses) == set()


def test_no_value_of_a_filter_breaks_a_list(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        SimpleTemplateResponse, "rendered_content", property(choices_only)
    )
    named = {model: parameters(model) for model in admin.site._registry}
    named[Media] += PARAMETERS
    addresses = (
        (list_url(model), f"{name}={value}")
        for model, names in named.items()
        for name in names
        for value in VALUES
    )
    assert failing(browser, addresses) == set()
