"""What the services promise about a campaign, kept by the database as well; and the groups of those who work with it."""

from django.db import migrations

from campaigns import roles

#: The content of a campaign: what it says, to whom, when and how fast.
CONTENT = (
    "template_id, category_id, channels, priority, audience, segment_id, saved_list_id, data, utm_source, utm_medium, utm_campaign, utm_term,"
    " utm_content, schedule, send_at, local_date, local_time, recurrence, recurs_on, recurrence_zone, recurs_until,"
    " throttle_per_minute, canary_percent, canary_minutes, canary_max_failures, test_percent, winner_metric,"
    " decide_after_minutes"
)


def _row(name: str) -> str:
    return "(" + ", ".join(f"{name}.{column.strip()}" for column in CONTENT.split(",")) + ")"


GUARD = f"""
CREATE FUNCTION campaign_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT (NEW.status = ANY (CASE OLD.status
        WHEN 'draft' THEN ARRAY['in_review']
        WHEN 'in_review' THEN ARRAY['draft', 'approved']
        WHEN 'approved' THEN ARRAY['draft', 'in_review', 'scheduled', 'sending']
        WHEN 'scheduled' THEN ARRAY['draft', 'in_review', 'sending', 'completed', 'cancelled']
        WHEN 'sending' THEN ARRAY['paused', 'completed', 'cancelled']
        WHEN 'paused' THEN ARRAY['sending', 'cancelled']
        WHEN 'completed' THEN ARRAY['cancelled']
        ELSE ARRAY[]::text[] END))
    THEN
        RAISE EXCEPTION 'a campaign does not go from % to %', OLD.status, NEW.status USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.status <> 'draft' AND {_row("NEW")} IS DISTINCT FROM {_row("OLD")}
    THEN
        RAISE EXCEPTION 'a campaign that is not a draft keeps its content' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER campaign_guard BEFORE UPDATE ON campaigns_campaign FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.status <> 'draft') EXECUTE FUNCTION campaign_guard();

CREATE FUNCTION campaign_variant_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.campaign_id, NEW.label, NEW.template_id, NEW.weight)
        IS NOT DISTINCT FROM (OLD.campaign_id, OLD.label, OLD.template_id, OLD.weight)
    THEN
        RETURN NEW;
    END IF;
    IF EXISTS (SELECT FROM campaigns_campaign WHERE status <> 'draft' AND parent_id IS NULL
                AND (TG_OP <> 'INSERT' AND id = OLD.campaign_id OR TG_OP <> 'DELETE' AND id = NEW.campaign_id))
    THEN
        RAISE EXCEPTION 'a campaign that is not a draft keeps its variants' USING ERRCODE = 'check_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER campaign_variant_guard BEFORE INSERT OR UPDATE OR DELETE ON campaigns_campaignvariant FOR EACH ROW
    EXECUTE FUNCTION campaign_variant_guard();

CREATE FUNCTION campaign_event_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the trail of a campaign is only added to' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER campaign_event_guard BEFORE UPDATE OR DELETE ON campaigns_campaignevent FOR EACH ROW
    EXECUTE FUNCTION campaign_event_guard();
"""

UNGUARD = """
DROP TRIGGER campaign_event_guard ON campaigns_campaignevent;
DROP FUNCTION campaign_event_guard();
DROP TRIGGER campaign_variant_guard ON campaigns_campaignvariant;
DROP FUNCTION campaign_variant_guard();
DROP TRIGGER campaign_guard ON campaigns_campaign;
DROP FUNCTION campaign_guard();
"""


def make_roles(apps, schema_editor):
    roles.make(apps)


class Migration(migrations.Migration):

    dependencies = [
        ("campaigns", "0004_lifecycle"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunSQL(GUARD, UNGUARD),
        migrations.RunPython(make_roles, migrations.RunPython.noop),
    ]
