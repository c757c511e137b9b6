"""The admin's looks and its way around: title, palette, sidebar. Read by unfold as the setting UNFOLD.

A page that is not mounted, and one the reader may not see, is left out of the sidebar rather than linked to a dead end.
"""

from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string


class Page(NamedTuple):
    """A line of the sidebar: what it is called, its Material symbol, its URL name, who may see it (empty: all staff),
    one sentence for the home page, and a function that counts what asks for attention there, by its dotted path."""

    title: str
    icon: str
    url: str
    permission: str = ""
    about: str = ""
    badge: str = ""


def _list(title: str, icon: str, app: str, model: str, about: str) -> Page:
    return Page(title, icon, f"admin:{app}_{model}_changelist", f"{app}.view_{model}", about)


SECTIONS: dict[str, list[Page]] = {
    "": [
        Page("Home", "home", "admin:index"),
        Page("Dashboard", "monitoring", "analytics-dashboard", "", "What is being sent right now, and how it ends"),
        _list(
            "Alerts", "notification_important", "analytics", "alert", "What is wrong right now, and who takes care"
        )._replace(badge="analytics.alerts.selectors.loud_count"),
    ],
    "Campaigns": [
        _list("Campaigns", "campaign", "campaigns", "campaign", "One message to many people"),
        _list("Segments", "groups", "campaigns", "segment", "Audiences by what is known of them"),
        _list("Lists", "fact_check", "campaigns", "recipientlist", "Audiences chosen one by one, or uploaded"),
    ],
    "Messages": [
        _list("Notifications", "notifications", "notifications", "notification", "Each message, and what became of it"),
        _list("Deliveries", "send", "notifications", "delivery", "One channel, one address, one outcome"),
        Page(
            "Explain",
            "contact_support",
            "admin:notifications_notification_explain",
            "notifications.view_notification",
            "Why somebody does or doesn't get a message",
        ),
        _list("Templates", "draft", "notifications", "messagetemplate", "Wordings, by version, channel and language"),
        _list("Categories", "category", "preferences", "category", "What people can say yes or no to"),
    ],
    "Recipients": [
        _list("Recipients", "person", "preferences", "recipient", "Who can be reached, and how"),
        _list("Preferences", "tune", "preferences", "preference", "What people said about each channel"),
        _list("No marketing", "campaign", "preferences", "marketingstop", "Who wants no marketing on a channel"),
        _list("Device tokens", "smartphone", "preferences", "devicetoken", "Push addresses, live and retired"),
        _list("Suppressions", "block", "preferences", "suppression", "Addresses that must not be used"),
        _list("STOP and START", "sms", "preferences", "heardkeyword", "What people answered to text messages"),
    ],
    "Pipeline": [
        _list("Digests", "stacks", "notifications", "digest", "What is gathered, and when it leaves"),
        _list("Outbox", "outbox", "notifications", "outboxmessage", "Work that is due, or will be"),
        _list(
            "Events lane", "move_to_inbox", "notifications", "receivedevent", "Receipts, opens and clicks to be applied"
        ),
        _list("Dead letters", "report", "notifications", "deadletter", "Work that was given up on, to be replayed"),
        Page(
            "Replays",
            "replay",
            "admin:notifications_replayrun_changelist",
            "notifications.view_deadletter",
            "Who put dead letters back, and how far it is",
        ),
        _list("Providers", "hub", "notifications", "providerswitch", "Who sends, who fails, and who stands in"),
        _list("Rate limits", "speed", "notifications", "ratelimit", "How fast, to whom, and how much of it is used"),
    ],
    "Sandbox": [
        _list("Sandbox", "science", "notifications", "sandboxstate", "Make bad weather for simulated providers"),
        _list("Simulated calls", "receipt_long", "notifications", "simulatedcall", "What those providers received"),
    ],
    "Alerting": [
        _list("Rules", "rule", "analytics", "alertrule", "When an alert opens, and when it clears"),
        _list("Routes", "alt_route", "analytics", "alertroute", "Who is told, and which way"),
        _list("Silences", "notifications_paused", "analytics", "silence", "When nobody is to be told, and why"),
        _list("Messages", "outgoing_mail", "analytics", "alertmessage", "Who was told what, and whether it got there"),
    ],
    "Access": [
        _list("API keys", "key", "notifications", "apikey", "What other services sign in with"),
        _list("Webhooks", "webhook", "analytics", "webhookendpoint", "Who is told what became of what they sent"),
        _list("Webhook log", "list_alt", "analytics", "webhookmessage", "What they were told, and what they answered"),
        _list("Users", "manage_accounts", "auth", "user", "Who may sign in here"),
        _list("Groups", "badge", "auth", "group", "Permissions by role"),
    ],
}


def sections(request: HttpRequest) -> dict[str, list[tuple[Page, str]]]:
    """The pages this user may open, with their addresses, by section; sections without any are left out."""
    visible: dict[str, list[tuple[Page, str]]] = {}
    for section, pages in SECTIONS.items():
        for page in pages:
            if page.permission and not _may(request, page.permission):
                continue
            try:
                visible.setdefault(section, []).append((page, reverse(page.url)))
            except NoReverseMatch:
                continue
    return visible


def _may(request: HttpRequest, permission: str) -> bool:
    # The admin shows a list to whoever may change it, too.
    return request.user.has_perm(permission) or request.user.has_perm(permission.replace(".view_", ".change_"))


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar."""
    return [
        {"title": section, "items": [_item(page, link) for page, link in pages]}
        for section, pages in sections(request).items()
    ]


def _item(page: Page, link: str) -> dict[str, Any]:
    item: dict[str, Any] = {"title": page.title, "icon": page.icon, "link": link}
    if page.badge and (count := import_string(page.badge)()):
        item |= {"badge": count, "badge_variant": "danger", "badge_style": "solid"}
    return item


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the admin's first page shows besides the site's own context."""
    context["sections"] = {title: pages for title, pages in sections(request).items() if title}
    context["quick"] = sections(request).get("", [])[1:]
    return context


def environment(request: HttpRequest) -> list[str] | None:
    """The badge in the header: on a demo, everyone should know."""
    if settings.DEMO:
        return ["Demo", "warning"]
    return ["Debug", "info"] if settings.DEBUG else None


def _asset(name: str) -> Any:
    return lambda request: static(f"carillon/{name}")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Carillon",
    "SITE_HEADER": "Carillon",
    "SITE_SUBHEADER": "Notifications",
    "SITE_URL": "/inbox/",
    "SITE_ICON": _asset("bell.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _asset("bell.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "ENVIRONMENT": "config.unfold.environment",
    "DASHBOARD_CALLBACK": "config.unfold.home",
    "STYLES": [_asset("admin.css")],
    "SCRIPTS": [_asset("admin.js")],
    "BORDER_RADIUS": "8px",
    "SIDEBAR": {"show_search": True, "navigation": "config.unfold.navigation"},
    # A quiet teal; 600 carries white text at 5:1 (WCAG AA).
    "COLORS": {
        "primary": {
            "50": "oklch(98% .012 195)",
            "100": "oklch(95% .03 195)",
            "200": "oklch(90% .055 195)",
            "300": "oklch(83% .085 195)",
            "400": "oklch(74% .105 195)",
            "500": "oklch(64% .105 195)",
            "600": "oklch(51% .09 197)",
            "700": "oklch(45% .078 198)",
            "800": "oklch(39% .065 199)",
            "900": "oklch(34% .052 200)",
            "950": "oklch(25% .042 202)",
        },
    },
}
