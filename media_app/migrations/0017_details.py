from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("media_app", "0016_sightings"),
    ]

    operations = [
        migrations.AddField(
            model_name="media",
            name="details",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="What an import knew of it beside: texts by name.",
            ),
        ),
    ]
