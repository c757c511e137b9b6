from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand

from analytics.alerts.choices import Receives, RouteKind
from analytics.alerts.models import AlertRoute
from config.demo_data import audiences, catalogue, people


class Command(BaseCommand):
    """Demo data on the configured database. Running it again adds only what is missing."""

    help = (
        "Add the demo's categories, templates, 10,000 people and audiences; with DEMO=1 also the users admin/admin,"
        " author/author, approver/approver and operator/operator."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="say nothing when all is well")

    def handle(self, *args: Any, **options: Any) -> None:
        catalogue.seed()
        added = people.seed()
        audiences.seed()
        if settings.DEMO:
            _admin()
            _roles()
            _route()
        if not options["quiet"]:
            self.stdout.write(f"Demo data is in place ({added:,} recipients added).")


def _admin() -> None:
    """A known password: only ever in a demo, which listens on the loopback address alone."""
    users = get_user_model().objects
    if not users.filter(username="admin").exists():
        users.create_superuser("admin", "admin@example.com", "admin")


#: Who works on campaigns in the demo; the password is the name.
ROLES = {"author": "Campaign authors", "approver": "Campaign approvers", "operator": "Campaign operators"}


def _roles() -> None:
    """One of each, so that a campaign can be taken from hand to hand. As `_admin`: only ever in a demo."""
    users = get_user_model().objects
    for name, group in ROLES.items():
        if users.filter(username=name).exists():
            continue
        user = users.create_user(name, f"{name}@example.com", name, is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        user.user_permissions.add(
            Permission.objects.get(codename="view_recipient", content_type__app_label="preferences")
        )


def _route() -> None:
    """Alerts come into the demo's inbox, where whoever looks on sees them."""
    AlertRoute.objects.get_or_create(
        name="The demo's inbox",
        defaults={"kind": RouteKind.IN_APP, "target": settings.DEMO_RECIPIENT, "receives": Receives.WARNINGS},
    )
