from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("media_app", "0007_unkept_size"),
    ]

    operations = [
        migrations.AddField(
            model_name="media",
            name="public_bucket",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=255
            ),
        ),
        migrations.AddField(
            model_name="media",
            name="public_error",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="Why the copy could not be made, or removed.",
            ),
        ),
        migrations.AddField(
            model_name="media",
            name="public_key",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=100
            ),
        ),
        migrations.AddField(
            model_name="media",
            name="public_lease_until",
            field=models.DateTimeField(
                blank=True,
                help_text="Until when one worker alone copies it, or removes the copy.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="media",
            name="published_at",
            field=models.DateTimeField(
                blank=True, help_text="When its public copy was complete.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="media",
            name="is_public",
            field=models.BooleanField(
                default=False,
                help_text="While it is stored, the public bucket has a copy.",
                verbose_name="public",
            ),
        ),
        migrations.AddIndex(
            model_name="media",
            index=models.Index(
                condition=models.Q(
                    ("is_public", True),
                    models.Q(("public_key", ""), _negated=True),
                    _connector="OR",
                ),
                fields=["public_lease_until"],
                name="media_public",
            ),
        ),
    ]
