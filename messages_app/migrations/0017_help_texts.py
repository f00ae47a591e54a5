from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messages_app", "0016_summaries_without_keys"),
    ]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="origin",
            field=models.CharField(
                choices=[
                    ("live", "live"),
                    ("standby", "while another app held the conversation"),
                    ("history", "from the history of the business's phone"),
                    ("echo", "from the business's phone"),
                ],
                db_default="live",
                default="live",
                help_text="How the hub came to know of it.",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="messageversion",
            name="origin",
            field=models.CharField(
                choices=[
                    ("live", "live"),
                    ("standby", "while another app held the conversation"),
                    ("history", "from the history of the business's phone"),
                    ("echo", "from the business's phone"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="photosession",
            name="anchor_id",
            field=models.UUIDField(
                help_text="The message that its id is computed from.", unique=True
            ),
        ),
    ]
