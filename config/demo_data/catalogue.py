"""The demo's categories, and how they and the templates come into the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.demo_data.templates import TEMPLATES, Template
from notifications.choices import Channel, Priority
from notifications.models import MessageTemplate
from notifications.services.templates import new_version, publish
from preferences.choices import Purpose, Strategy
from preferences.models import Category


@dataclass(frozen=True, slots=True)
class DemoCategory:
    name: str
    description: str
    channels: tuple[Channel, ...] = (Channel.PUSH, Channel.EMAIL, Channel.SMS, Channel.IN_APP)
    priority: Priority = Priority.NORMAL
    is_required: bool = False
    purpose: Purpose = Purpose.TRANSACTIONAL
    dedup_seconds: int = 300
    track_opens: bool = False
    digest: Mapping[str, Any] = field(default_factory=dict)
    strategy: Mapping[str, Any] = field(default_factory=dict)


CATEGORIES = {
    "orders": DemoCategory("Orders", "What happens to something you bought.", priority=Priority.HIGH),
    "security": DemoCategory(
        "Security",
        "Codes and warnings. Cannot be turned off.",
        priority=Priority.CRITICAL,
        is_required=True,
        dedup_seconds=0,  # who asks for the same code again did not get the first
    ),
    "promotions": DemoCategory(
        "Promotions",
        "Offers, at most one a week.",
        (Channel.EMAIL, Channel.PUSH, Channel.IN_APP),
        Priority.LOW,
        purpose=Purpose.MARKETING,
        track_opens=True,
    ),
    "product-news": DemoCategory(
        "Product news",
        "What is new and how to use it.",
        (Channel.EMAIL, Channel.IN_APP),
        Priority.LOW,
        purpose=Purpose.MARKETING,
        track_opens=True,
    ),
    "comments": DemoCategory(
        "Comments",
        "What others say about your posts: in the feed at once, else gathered for a minute.",
        (Channel.EMAIL, Channel.PUSH, Channel.IN_APP),
        digest={
            "digest_mode": "fixed",
            "digest_window_seconds": 60,
            "digest_template": "comments-digest",
            "digest_channels": ["email", "push"],
        },
    ),
    "approvals": DemoCategory(
        "Approvals",
        "What waits for your yes: in the inbox first, by push after half a minute, by email after a minute and a half.",
        (Channel.IN_APP, Channel.PUSH, Channel.EMAIL),
        Priority.HIGH,
        strategy={
            "strategy": Strategy.ESCALATE,
            "escalation": [
                {"channel": "in_app"},
                {"channel": "push", "after": 30, "unless": "seen"},
                {"channel": "email", "after": 90, "unless": "read"},
            ],
        },
    ),
    "courier": DemoCategory(
        "Courier",
        "Somebody is at your door: by push, else by text message, else by email.",
        (Channel.PUSH, Channel.SMS, Channel.EMAIL),
        Priority.HIGH,
        strategy={"strategy": Strategy.FIRST, "fallback_seconds": 20},
    ),
}


def seed(categories: Mapping[str, DemoCategory] = CATEGORIES, templates: Mapping[str, Template] = TEMPLATES) -> None:
    """Add what is missing; what is there, edited or not, stays."""
    for slug, category in categories.items():
        fields: dict[str, Any] = {
            "name": category.name,
            "description": category.description,
            "channels": [channel.value for channel in category.channels],
            "default_priority": category.priority,
            "is_required": category.is_required,
            "purpose": category.purpose,
            "dedup_seconds": category.dedup_seconds,
            "track_opens": category.track_opens,
            **category.digest,
            **category.strategy,
        }
        Category.objects.get_or_create(slug=slug, defaults=fields)
    for slug, (name, variables, content) in templates.items():
        defaults = {"name": name, "variables": variables, "purpose": _purpose(content)}
        template, _ = MessageTemplate.objects.get_or_create(slug=slug, defaults=defaults)
        if template.published_id is None:
            publish(new_version(template, content, by=None), by=None)


def _purpose(content: Mapping[str, Any]) -> Purpose:
    return Purpose.MARKETING if "unsubscribe_url" in str(content) else Purpose.TRANSACTIONAL
