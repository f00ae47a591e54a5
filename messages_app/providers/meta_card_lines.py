"""What a shared contact and an order of Meta's say, as labelled lines for staff."""

from __future__ import annotations

from collections.abc import Iterator

from messages_app.providers.lines import (
    Line,
    decimal,
    line,
    other_lines,
    words,
)
from messages_app.providers.meta_json import Json, object_in, objects_in

_ORGANISATION = ("title", "department", "company")
_ADDRESS = ("street", "city", "state", "zip", "country")


def contact_lines(contact: Json) -> Iterator[Line]:
    name, organisation = object_in(contact, "name"), object_in(contact, "org")
    names = (name.get("first_name"), name.get("middle_name"), name.get("last_name"))
    yield Line("Contact", words(name.get("formatted_name")) or joined(" ", *names))
    for phone in objects_in(contact, "phones"):
        number = words(phone.get("phone")) or words(phone.get("wa_id"))
        if number and phone.get("wa_id"):
            number += ", on WhatsApp"
        yield Line(
            _of_type("Phone", phone),
            number,
        )
    for mail in objects_in(contact, "emails"):
        yield line(_of_type("E-mail", mail), mail.get("email"))
    yield Line(
        "Organisation",
        joined(", ", *(organisation.get(part) for part in _ORGANISATION)),
    )
    for address in objects_in(contact, "addresses"):
        yield Line(
            _of_type("Address", address),
            joined(", ", *(address.get(part) for part in _ADDRESS)),
        )
    for url in objects_in(contact, "urls"):
        yield line(_of_type("Website", url), url.get("url"))
    yield line("Birthday", contact.get("birthday"))
    yield from other_lines(
        contact,
        known=(
            "name",
            "phones",
            "emails",
            "org",
            "addresses",
            "urls",
            "birthday",
            "origin",
            "vcard",
        ),
    )


def order_lines(order: Json) -> Iterator[Line]:
    items = objects_in(order, "product_items")
    for item in items:
        what = joined(" × ", item.get("quantity"), item.get("product_retailer_id"))
        price = joined(" ", item.get("item_price"), item.get("currency"))
        if price:
            what += f", {price} each"
        yield Line("Item", what)
    yield Line("Total", _total(items))
    yield line("Catalogue", order.get("catalog_id"))
    yield from other_lines(order, known=("text", "product_items", "catalog_id"))


def _total(items: list[Json]) -> str:
    """The sum, where all prices are of one known currency."""
    currencies = {words(item.get("currency")) for item in items}
    prices = [
        (decimal(item.get("quantity")), decimal(item.get("item_price")))
        for item in items
    ]
    if len(currencies) != 1 or "" in currencies:
        return ""
    amounts = [
        count * price
        for count, price in prices
        if count is not None and price is not None
    ]
    if len(amounts) == len(items):
        return f"{sum(amounts):.2f} {currencies.pop()}"
    return ""


def joined(separator: str, *parts: object) -> str:
    return separator.join(part for part in map(words, parts) if part)


def _of_type(label: str, part: Json) -> str:
    type = words(part.get("type")).lower()
    if type:
        return f"{label} ({type})"
    return label
