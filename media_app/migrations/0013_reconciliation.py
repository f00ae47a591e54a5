from __future__ import annotations

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# SQLite has the keys in this order already. It is no index of the model: SQLite does not know the
# collation by this name.
ADD = 'CREATE INDEX media_by_key ON media_app_media (key COLLATE "C")'
REMOVE = "DROP INDEX media_by_key"


def add_index(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ADD)


def remove_index(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(REMOVE)


class Migration(migrations.Migration):
    dependencies = [
        ("media_app", "0012_tombstones"),
    ]

    operations = [
        migrations.AddField(
            model_name="installation",
            name="next_share",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="Which files the next run that reads a part of them begins with.",
            ),
        ),
        migrations.RunPython(add_index, remove_index, elidable=False),
    ]
