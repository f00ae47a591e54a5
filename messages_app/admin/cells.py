"""Cells and sentences that several pages have in common."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils.html import format_html

from media_app.admin.machine_owned import MachineOwnedAdmin, change_url
from media_app.admin.tiles import sender_name
from messages_app.models import Contact


def contact_link(contact: Contact, owner: str) -> str:
    """The contact by name, else by the address ``owner``."""
    address = sender_name(owner)
    return format_html(
        '<a class="text-link" href="{}">{}</a><span class="subtle">{}</span>',
        change_url(contact),
        contact.name or address,
        address_below(contact.name, address),
    )


def address_below(name: str, address: str) -> str:
    """The address below a name; "" where it stands for the name itself."""
    if not name:
        return ""
    return address


def reason(error: str) -> str:
    if not error:
        return ""
    return format_html('<span class="reason">{}</span>', error)


def counted(count: int, singular: str, plural: str) -> str:
    """``1 reply is``, ``3 replies are``."""
    if count == 1:
        return f"1 {singular}"
    return f"{count} {plural}"


def tell(
    admin_: MachineOwnedAdmin, request: HttpRequest, text: str, *, is_good: bool
) -> None:
    """Show a message above the next page."""
    level = messages.WARNING
    if is_good:
        level = messages.SUCCESS
    admin_.message_user(request, text, level)


def tell_when(
    admin_: MachineOwnedAdmin, request: HttpRequest, text: str, *, is_enqueued: bool
) -> None:
    """Say that ``text`` happens now, or as soon as Redis is available again."""
    when = "as soon as the queue answers again"
    if is_enqueued:
        when = "now"
    tell(admin_, request, f"{text} {when}.", is_good=is_enqueued)
