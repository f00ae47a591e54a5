"""Filters of the lists of this app."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import CheckboxFilter, RadioFilter

from messages_app.admin.quotes import KIND_WORDS
from messages_app.models import Attachment, Contact, Message


class KindFilter(CheckboxFilter):
    """By the kind of a message. The names are listed here: a query for them reads the whole
    table.
    """

    title = "kind"
    parameter_name = "kind"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return list(KIND_WORDS.items())

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> QuerySet[Message]:
        wanted = self.value()
        if not wanted:
            return queryset
        return queryset.filter(kind__in=wanted)


class ContactFilter(RadioFilter):
    """One contact's rows. It is set by a link on the contact's page, and only then shown."""

    title = "contact"
    parameter_name = "contact"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        contacts = Contact.objects.filter(id__in=filter(None, [self._id()]))
        return [(str(contact.id), str(contact)) for contact in contacts]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self._id()
        if chosen:
            return queryset.filter(self.of_contact(chosen))
        return queryset

    def of_contact(self, id: UUID) -> Q:
        return Q(contact=id)

    def _id(self) -> UUID | None:
        try:
            return UUID(self.value() or "")
        except ValueError:
            return None


class GroupFilter(RadioFilter):
    """One group's messages. It is set by a link on a message's page, and only then shown."""

    title = "group"
    parameter_name = "group"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        chosen = self.value()
        return [(chosen, chosen)] if chosen else []

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Message]
    ) -> QuerySet[Message]:
        chosen = self.value()
        # The second condition is the index's own: SQLite uses no partial index without it.
        if chosen:
            return queryset.filter(group_id=chosen, group_id__gt="")
        return queryset


class MediaContactFilter(ContactFilter):
    def of_contact(self, id: UUID) -> Q:
        return Q(id__in=Attachment.objects.filter(message__contact=id).values("media"))
