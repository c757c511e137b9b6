import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0003_stored_json'),
    ]

    operations = [
        migrations.CreateModel(
            name='ReceivedEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('type', models.CharField(help_text='an EventType', max_length=10)),
                ('origin', models.CharField(max_length=32)),
                ('delivery_id', models.UUIDField()),
                ('event_id', models.CharField(db_default='', max_length=128)),
                ('code', models.CharField(db_default='', max_length=32)),
                ('machine', models.CharField(db_default='', max_length=32)),
                ('detail', models.TextField(db_default='')),
            ],
            options={
                'indexes': [models.Index(fields=['due_at'], name='received_event_due')],
            },
        ),
        # All rows come and go: without frequent vacuums the index's head fills with dead ones.
        migrations.RunSQL(
            "ALTER TABLE notifications_receivedevent SET (autovacuum_vacuum_scale_factor = 0,"
            " autovacuum_vacuum_threshold = 5000)",
            migrations.RunSQL.noop,
        ),
    ]
