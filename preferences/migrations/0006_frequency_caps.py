import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("preferences", "0005_digests"),
    ]

    operations = [
        migrations.AddField(
            model_name="category",
            name="cap_per_day",
            field=models.PositiveSmallIntegerField(blank=True, help_text="Notifications of this category to one person in 24 hours; empty: no cap", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name="at most a day"),
        ),
        migrations.AddField(
            model_name="category",
            name="cap_per_week",
            field=models.PositiveSmallIntegerField(blank=True, help_text="In seven days. What is more is skipped, except critical messages and required categories", null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1000)], verbose_name="at most a week"),
        ),
    ]
