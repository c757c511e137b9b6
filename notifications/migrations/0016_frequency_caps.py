from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0015_digests"),
    ]

    operations = [
        migrations.AlterField(
            model_name="ratelimit",
            name="scope",
            field=models.CharField(choices=[("recipient", "Notifications to one person: what is more is skipped"), ("cap", "Marketing to one person: what is more is skipped as capped"), ("api_key", "Calls with one API key: what is more is refused with 429"), ("provider", "Messages to one provider: what is more waits"), ("global", "Messages to all providers together: what is more waits")], max_length=9),
        ),
    ]
