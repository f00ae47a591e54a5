from __future__ import annotations

from django.db import migrations, models
from django.db.models import Q

# Rejected files of earlier releases say only in words why: the texts of those releases.
REASONS = {
    "too_large": Q(last_error__startswith="The file is larger than "),
    "not_passed_on": Q(last_error__startswith="The provider could not pass it on: "),
    "worker_lost": Q(last_error__startswith="The worker was lost "),
    "wrong_bytes": (
        Q(last_error__startswith="What came is not the file that was announced")
        | Q(last_error__contains=" bytes were announced, ")
        | Q(last_error__startswith="The provider sent the file compressed")
    ),
    "forbidden": (
        Q(last_error__startswith="The Graph API answered ")
        | Q(last_error__startswith="Twilio's API answered ")
        | Q(last_error__startswith="The address answered ")
        | Q(last_error__startswith="The file belongs to ")
    ),
    "refused_address": (
        Q(last_error__endswith="is not an address that this hub may call.")
        | Q(last_error__endswith="lies in a network that this hub may not call.")
        | Q(last_error__startswith="The address is ")
        | Q(last_error__startswith="The address has ")
        | Q(last_error__startswith="The address can't ")
        | Q(last_error__startswith="The address carries ")
        | Q(last_error__startswith="The address names ")
        | Q(last_error__startswith="The redirect leads ")
    ),
}


def read_reasons(apps, schema_editor):
    rejected = apps.get_model("media_app", "Media").objects.filter(state="rejected")
    for failure, reason in REASONS.items():
        rejected.filter(reason).update(failure=failure)


class Migration(migrations.Migration):
    dependencies = [
        ("media_app", "0008_public_copies"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="media",
            options={
                "ordering": ("-occurred_at", "position", "id"),
                "verbose_name": "file",
                "verbose_name_plural": "files",
            },
        ),
        migrations.AddField(
            model_name="media",
            name="failure",
            field=models.CharField(
                blank=True,
                choices=[
                    ("too_large", "larger than MEDIA_MAX_BYTES"),
                    ("wrong_bytes", "not the announced bytes"),
                    ("forbidden", "refused by the provider"),
                    ("refused_address", "at an address that may not be called"),
                    ("worker_lost", "its workers were lost"),
                    ("not_passed_on", "not passed on by the provider"),
                ],
                db_default="",
                default="",
                help_text="Why a rejected file was not accepted; last_error says it in words.",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="media",
            name="expires_at",
            field=models.DateTimeField(
                blank=True, help_text="When the provider deletes the file.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="media",
            name="give_up_at",
            field=models.DateTimeField(
                help_text="Until when it is tried: somewhat longer than the provider keeps it."
            ),
        ),
        migrations.AlterField(
            model_name="media",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "waiting"),
                    ("fetching", "being fetched"),
                    ("stored", "stored"),
                    ("retrying", "trying again"),
                    ("expired", "expired at the provider"),
                    ("rejected", "not accepted"),
                    ("missing", "missing from storage"),
                    ("deleted", "deleted"),
                ],
                default="pending",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="media",
            name="unconfirmed_sha256",
            field=models.CharField(
                blank=True,
                help_text="The digest of the last fetch, where only a second one can confirm it.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="media",
            name="unkept_size",
            field=models.BigIntegerField(
                blank=True,
                help_text="How many bytes were fetched that found no room in the storage.",
                null=True,
            ),
        ),
        migrations.RunPython(read_reasons, migrations.RunPython.noop),
    ]
