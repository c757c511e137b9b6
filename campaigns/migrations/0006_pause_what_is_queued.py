"""A campaign that has handed out everything can still be paused, for what is queued."""

from django.db import migrations

#: The guard stays as it is but for one line: from where to where.
CHANGE = """
DO $do$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('campaign_guard()'::regprocedure),
        $$WHEN 'completed' THEN {old}$$,
        $$WHEN 'completed' THEN {new}$$
    );
END $do$
"""
BEFORE, AFTER = "ARRAY['cancelled']", "ARRAY['paused', 'cancelled']"


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0005_guards")]

    operations = [migrations.RunSQL(CHANGE.format(old=BEFORE, new=AFTER), CHANGE.format(old=AFTER, new=BEFORE))]
