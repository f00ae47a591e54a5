"""Lists are filtered by what they offer, and by nothing else that an address may name."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import RequestFactory

from media_app.admin.lookups import ClosedLookups
from media_app.admin.machine_owned import list_url
from messages_app.models import OutboxItem
from tests.admin.conftest import Staff
from tests.admin.rows import make_contact, make_reply, make_session

REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
each_admin = pytest.mark.parametrize(
    "model", REGISTERED, ids=lambda model: model._meta.label
)
TRANSFORMS = (
    "",
    "__regex",
    "__startswith",
    "__contains",
    "__gt",
    "__isnull",
    "__x__regex",
)


def paths(model: type[Model]) -> list[str]:
    """The model's fields, and those of what they lead to."""
    found = ["pk"]
    for field in model._meta.get_fields():
        related: Any = field.related_model if field.is_relation else None
        found += [
            field.name,
            *(
                f"{field.name}__{far.name}"
                for far in (related._meta.get_fields() if related else ())
            ),
        ]
    return found


@each_admin
@pytest.mark.django_db
def test_no_value_can_be_guessed_by_lookups(model: type[Model]) -> None:
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    own = admin.site.get_model_admin(model)
    offered = {
        getattr(item, "parameter_name", item) for item in own.get_list_filter(request)
    }
    offered = {item[0] if isinstance(item, tuple) else item for item in offered}
    named = [f"{path}{transform}" for path in paths(model) for transform in TRANSFORMS]
    allowed = {lookup for lookup in named if own.lookup_allowed(lookup, "x", request)}
    linked = set(getattr(own, "linked_lookups", ()))
    own_lookups = {f"{name}{ending}" for name in offered for ending in ("", "__isnull")}
    assert isinstance(own, ClosedLookups)
    assert allowed - linked <= own_lookups
    assert not {
        lookup
        for lookup in linked
        if "regex" in lookup or "contains" in lookup or "with" in lookup
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    "lookup",
    [
        "said__photos__0__url__regex",
        "said__text__startswith",
        "session__contact__name__regex",
        "said",
    ],
)
def test_what_was_said_cannot_be_read_character_by_character(
    lookup: str, staff: Staff
) -> None:
    make_reply(
        make_session(make_contact()),
        "hand_over",
        said={"photos": [{"url": "https://a.example/?token=s"}]},
    )
    client = staff("messages_app.view_outboxitem")
    assert client.get(list_url(OutboxItem, **{lookup: "https://a"})).status_code == 400


@pytest.mark.django_db
@each_admin
def test_every_filter_that_a_list_offers_works(
    model: type[Model], superuser: Any
) -> None:
    own = admin.site.get_model_admin(model)
    answer = superuser.get(list_url(model))
    # RQ's dashboard is a list of nothing.
    specs = (
        answer.context["cl"].filter_specs
        if model._meta.app_label != "django_rq"
        else ()
    )
    names = [name for spec in specs for name in spec.expected_parameters()]
    for name in [*names, *getattr(own, "linked_lookups", ())]:
        value = (
            "2026-01-01"
            if name.endswith(("_from", "_to", "_at__gte", "_at__lte"))
            else "1"
        )
        assert superuser.get(list_url(model, **{name: value})).status_code in {
            200,
            302,
        }, name
