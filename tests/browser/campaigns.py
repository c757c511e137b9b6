"""What tests of the campaign pages do in a browser: sign in as somebody, press, follow."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection

from campaigns import roles
from campaigns.models import Campaign
from tests.campaigns.conftest import work


def elsewhere(act: Callable[[], object]) -> None:
    """On a thread without Playwright's event loop, which what the runner and the workers do must not find."""

    def step() -> None:
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(step).result(60)


def work_elsewhere() -> None:
    """The worker's step."""
    elsewhere(work)


def sign_in(page: Any, server: str, name: str, *groups: str) -> None:
    """As a member of these groups, who may look at recipients, too; on the list of campaigns."""
    roles.make(apps)  # a test before this one may have emptied the tables of what migrations put there
    user, made = User.objects.get_or_create(username=name, defaults={"is_staff": True, "is_superuser": not groups})
    if made:
        user.set_password("secret-for-tests")
        user.save()
        user.groups.set(Group.objects.filter(name__in=[f"Campaign {group}" for group in groups]))
        user.user_permissions.set(Permission.objects.filter(codename="view_recipient"))
    page.context.clear_cookies()
    page.goto(f"{server}/admin/campaigns/campaign/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", "secret-for-tests")
    page.click("[type=submit]")
    page.locator("[name=password]").wait_for(state="detached")  # or the next address would cut it off


def address_of(server: str, campaign: Campaign, page: str = "change") -> str:
    return f"{server}/admin/campaigns/campaign/{campaign.pk}/{page}/"


def press(page: Any, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).click()


def follow(page: Any, label: str) -> None:
    page.get_by_role("link", name=label, exact=True).click()
