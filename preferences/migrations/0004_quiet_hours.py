from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [
        ("preferences", "0003_tracking"),
    ]

    operations = [
        migrations.AddField(
            model_name="category",
            name="waits_for_quiet_hours",
            field=models.BooleanField(db_default=True, default=True, help_text="In a recipient's quiet hours its messages wait, except critical ones and those in the app", verbose_name="waits for quiet hours"),
        ),
        migrations.AddField(
            model_name="recipient",
            name="quiet_start",
            field=models.TimeField(blank=True, help_text="In their time zone; both or neither", null=True, verbose_name="quiet from"),
        ),
        migrations.AddField(
            model_name="recipient",
            name="quiet_end",
            field=models.TimeField(blank=True, help_text="Before the start: of the next day", null=True, verbose_name="quiet until"),
        ),
        # Whoever is there has neither: nothing needs to be looked through, and nobody locked out meanwhile.
        AddConstraintNotValid(
            model_name="recipient",
            constraint=models.CheckConstraint(
                condition=Q(quiet_start=None, quiet_end=None) | Q(quiet_start__isnull=False, quiet_end__isnull=False) & ~Q(quiet_start=F("quiet_end")),
                name="recipient_quiet_hours",
                violation_error_message="Quiet hours have a start and an end, and the two differ.",
            ),
        ),
    ]
