
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0008_webhook_scopes'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='receivedevent',
            options={'verbose_name': 'waiting event', 'verbose_name_plural': 'events lane'},
        ),
    ]
