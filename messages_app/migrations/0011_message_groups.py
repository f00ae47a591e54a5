from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messages_app", "0010_message_errors"),
    ]

    operations = [
        migrations.AddField(
            model_name="message",
            name="group_id",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="The provider's id of the group that it was said in.",
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                condition=models.Q(("group_id__gt", "")),
                fields=["group_id", "-occurred_at"],
                name="message_by_group",
            ),
        ),
    ]
