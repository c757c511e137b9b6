"""In which order a campaign's channels are tried: part of what is fixed once it is not a draft."""

from django.db import migrations, models

#: The guard stays as it is but for the two rows that it compares.
WITHOUT, WITH = "channels, {row}.priority", "channels, {row}.strategy, {row}.priority"


def _change(old: str, new: str) -> str:
    sql = "pg_get_functiondef('campaign_guard()'::regprocedure)"
    for row in ("NEW", "OLD"):
        sql = f"replace({sql}, '{row}.{old.format(row=row)}', '{row}.{new.format(row=row)}')"
    return f"DO $do$ BEGIN EXECUTE {sql}; END $do$"


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0008_reading_in_background")]

    operations = [
        migrations.AddField(
            "campaign",
            "strategy",
            models.JSONField(
                blank=True, null=True, help_text="As preferences.strategies.asked reads it; null: the category's"
            ),
        ),
        migrations.RunSQL(_change(WITHOUT, WITH), _change(WITH, WITHOUT)),
    ]
