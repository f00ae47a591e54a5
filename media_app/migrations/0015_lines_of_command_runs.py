from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("media_app", "0014_restoring"),
    ]

    operations = [
        migrations.AddField(
            model_name="commandrun",
            name="lines",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="The last lines that have no personal data.",
            ),
        ),
    ]
