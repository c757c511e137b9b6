"""What the demo's traffic is about, beside the catalogue every demo has: more categories, and wordings for them."""

from config.demo_data.catalogue import DemoCategory, Template
from notifications.choices import Channel, Priority

_SHOP = "https://shop.example"

CATEGORIES = {
    "payments": DemoCategory("Payments", "Receipts, and cards that were refused.", priority=Priority.HIGH),
    "reminders": DemoCategory("Reminders", "Appointments and things left in a basket.", dedup_seconds=60),
    "community": DemoCategory(
        "Community",
        "Replies, mentions and new followers.",
        (Channel.PUSH, Channel.IN_APP),
        Priority.NORMAL,
        dedup_seconds=60,
    ),
}


def _template(name: str, title: str, body: str, link: str) -> Template:
    """The same words on every channel, each in its own fields."""
    address = _SHOP + link
    return (
        name,
        {
            "en": {
                "email": {"subject": title, "text": f"Hello {{{{ recipient.name }}}},\n\n{body}\n\n{address}\n"},
                "push": {"title": title, "body": body, "link": address},
                "sms": {"body": f"{title}. {body}"},
                "in_app": {"title": title, "body": body, "link": address},
            }
        },
    )


TEMPLATES: dict[str, Template] = {
    "out-for-delivery": _template(
        "Out for delivery", "Order {{ order }} arrives today", "Between {{ window }}.", "/orders/{{ order }}"
    ),
    "payment-received": _template(
        "Payment received", "We received {{ amount }}", "For order {{ order }}. Thank you.", "/orders/{{ order }}"
    ),
    "card-refused": _template(
        "Card refused", "Your card was refused", "{{ amount }} for order {{ order }} is open.", "/pay/{{ order }}"
    ),
    "appointment": _template(
        "Appointment", "Your appointment at {{ time }}", "See you at {{ place }}.", "/appointments"
    ),
    "basket": _template("Left in the basket", "Still thinking it over?", "{{ item }} is kept for you.", "/basket"),
    "reply": _template(
        "A reply", "{{ who }} replied to you", "About {{ item }}: have a look.", "/community/{{ thread }}"
    ),
    "what-is-new": _template(
        "What is new", "New: {{ item }}", "Better, smaller, blue. Here is how to use it.", "/news/{{ thread }}"
    ),
}
