import core.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('notifications', '0002_reliability'),
    ]

    operations = [
        # In one statement: each of its own would write the whole record anew.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE notifications_notification"
                    " ALTER COLUMN content TYPE json, ALTER COLUMN data TYPE json, ALTER COLUMN metadata TYPE json",
                    "ALTER TABLE notifications_notification"
                    " ALTER COLUMN content TYPE jsonb, ALTER COLUMN data TYPE jsonb, ALTER COLUMN metadata TYPE jsonb",
                ),
            ],
            state_operations=[
                migrations.AlterField(
                    model_name='notification',
                    name='content',
                    field=core.fields.StoredJSONField(null=True),
                ),
                migrations.AlterField(
                    model_name='notification',
                    name='data',
                    field=core.fields.StoredJSONField(default=dict),
                ),
                migrations.AlterField(
                    model_name='notification',
                    name='metadata',
                    field=core.fields.StoredJSONField(default=dict),
                ),
            ],
        ),
    ]
