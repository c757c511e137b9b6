"""Who may do what with campaigns: four groups, made by migration, for an administrator to put people into."""

from typing import Any

from django.contrib.auth.management import create_permissions

_LOOK = (
    "campaigns.view_campaign",
    "campaigns.view_segment",
    "campaigns.view_recipientlist",
    "notifications.view_messagetemplate",
    "preferences.view_category",
)
#: By group, permissions as `user.has_perm` takes them.
ROLES: dict[str, tuple[str, ...]] = {
    "Campaign viewers": _LOOK,
    "Campaign authors": (
        *_LOOK,
        "campaigns.add_campaign",
        "campaigns.change_campaign",
        "campaigns.delete_campaign",
        "campaigns.submit_campaign",
        "campaigns.add_segment",
        "campaigns.change_segment",
        "campaigns.delete_segment",
        "campaigns.add_recipientlist",
        "campaigns.change_recipientlist",
        "campaigns.delete_recipientlist",
        "notifications.add_messagetemplate",
        "notifications.change_messagetemplate",
    ),
    "Campaign approvers": (*_LOOK, "campaigns.approve_campaign"),
    "Campaign operators": (*_LOOK, "campaigns.operate_campaign"),
}


def make(apps: Any) -> None:
    """Make the groups and give each its permissions, as far as they exist; what an administrator added stays.

    For migrations, `apps` being theirs: permissions are made after all migrations only, so they are made here first.
    """
    for label in ("campaigns", "notifications", "preferences"):
        config = apps.get_app_config(label)
        module, config.models_module = getattr(config, "models_module", None), True  # without, it would be passed over
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = module
    group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    known = {
        f"{app}.{codename}": pk
        for app, codename, pk in permission.objects.values_list("content_type__app_label", "codename", "pk")
    }
    for name, wanted in ROLES.items():
        group.objects.get_or_create(name=name)[0].permissions.add(*(known[one] for one in wanted if one in known))
