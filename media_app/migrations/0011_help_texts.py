from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("media_app", "0010_command_runs"),
    ]

    operations = [
        migrations.AlterField(
            model_name="accountpause",
            name="until",
            field=models.DateTimeField(
                help_text="When the next trial is due; a throttled account is free then."
            ),
        ),
        migrations.AlterField(
            model_name="fetchattempt",
            name="answer",
            field=models.TextField(
                blank=True,
                help_text="What the provider, the storage or the hub answered.",
            ),
        ),
        migrations.AlterField(
            model_name="fetchattempt",
            name="number",
            field=models.PositiveIntegerField(
                help_text="The file's attempts so far; an attempt that does not count repeats the number."
            ),
        ),
        migrations.AlterField(
            model_name="fetchattempt",
            name="seconds",
            field=models.FloatField(
                help_text="How long it took; empty where the worker was lost.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="installation",
            name="marked_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When the storage first had the marker.",
                null=True,
            ),
        ),
    ]
