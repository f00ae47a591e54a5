"""Pages of the admin as staff open and use them. A page is an address, or the row that it shows."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.test import Client

from media_app.admin.machine_owned import change_url, list_url

Page = str | Model


def page_of(client: Client, page: Page, **query: Any) -> str:
    """What the page shows."""
    response = client.get(address_of(page), query)
    assert response.status_code == 200
    return response.content.decode()


def address_of(page: Page) -> str:
    return page if isinstance(page, str) else change_url(page)


def listed(client: Client, address: str, **query: Any) -> list[Any]:
    """The rows of a list. A query that is refused redirects, and fails here."""
    response = client.get(address, query)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def offered(client: Client, row: Model) -> list[str]:
    """The verbs on the row's page."""
    return [verb["label"] for verb in client.get(change_url(row)).context["verbs"]]


def verb_url(row: Model, verb: str) -> str:
    return f"{change_url(row).removesuffix('change/')}verb/{verb}/"


def press(client: Client, row: Model, verb: str) -> str:
    """Press a verb on the row's page; what the page that follows shows."""
    return client.post(verb_url(row, verb), follow=True).content.decode()


def act(client: Client, action: str, *rows: Model) -> str:
    """Choose rows in their list and an action for them; what the page that follows shows."""
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    address = list_url(type(rows[0]))
    return client.post(address, chosen, follow=True).content.decode()
