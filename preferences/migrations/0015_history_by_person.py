from django.db import migrations, models
import django.db.models.deletion


class Migration(migrations.Migration):

    dependencies = [
        ('preferences', '0014_phone_codes'),
    ]

    operations = [
        migrations.AlterField(
            model_name='changerecord',
            name='recipient',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='preferences.recipient'),
        ),
        migrations.AlterField(
            model_name='changerecord',
            name='category',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, to='preferences.category'),
        ),
    ]
