from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The index is built while items are being stored.
    atomic = False

    dependencies = [
        ('channels_app', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='feedcursor',
            name='token_generation',
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='feeditem',
            name='woken_at',
            field=models.DateTimeField(null=True),
        ),
        AddIndexConcurrently(
            model_name='feeditem',
            index=models.Index(condition=models.Q(('archived_at', None), ('snoozed_until__isnull', False)), fields=['snoozed_until'], name='feed_item_asleep'),
        ),
    ]
