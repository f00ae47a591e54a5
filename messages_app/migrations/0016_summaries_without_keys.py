"""Kept summaries forget the public addresses of former versions, which were made of the files'
keys.

The photos get signed links instead. A migration of its own: it reads the whole table, and must not
lock it meanwhile.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations


def forget(apps: Any, schema_editor: Any) -> None:
    items = apps.get_model("messages_app", "OutboxItem").objects
    summaries = (
        items.filter(kind="hand_over", said__has_key="photos")
        .order_by()
        .values_list("id", "said")
    )
    for id, said in summaries.iterator():
        if any(photo.get("public_url") for photo in said["photos"]):
            photos = [
                {**photo, "public_url": ""} if "public_url" in photo else photo
                for photo in said["photos"]
            ]
            items.filter(id=id).update(said={**said, "photos": photos})


class Migration(migrations.Migration):
    dependencies = [
        ("messages_app", "0015_delivery_notices"),
    ]

    operations = [
        migrations.RunPython(forget, migrations.RunPython.noop, elidable=True)
    ]
