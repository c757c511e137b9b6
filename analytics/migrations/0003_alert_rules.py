from django.db import migrations

from analytics.alerts import defaults


def install(apps, schema_editor):
    defaults.install(apps.get_model("analytics", "AlertRule"))


class Migration(migrations.Migration):
    dependencies = [("analytics", "0002_alerts")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
