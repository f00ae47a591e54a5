from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("media_app", "0006_installation"),
    ]

    operations = [
        migrations.AddField(
            model_name="media",
            name="unkept_size",
            field=models.BigIntegerField(
                blank=True,
                help_text="How many bytes were fetched that the storage then did not keep.",
                null=True,
            ),
        ),
    ]
