"""Messages that were kept before there was ``group_id`` get it from what the provider sent.

A migration of its own: it reads the whole table, and must not lock it meanwhile.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

# As long as the ids that are read now.
ID_LIMIT = 500


def fill(apps: Any, schema_editor: Any) -> None:
    messages = apps.get_model("messages_app", "Message").objects
    said_in_groups = (
        messages.filter(group_id="", raw__has_key="group_id")
        .order_by()
        .values_list("id", "raw__group_id")
    )
    for id, group_id in list(said_in_groups):
        if isinstance(group_id, str):
            messages.filter(id=id).update(group_id=group_id[:ID_LIMIT])


class Migration(migrations.Migration):
    dependencies = [
        ("messages_app", "0011_message_groups"),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
