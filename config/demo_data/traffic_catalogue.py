"""What the demo's traffic is about, beside the catalogue every demo has: more categories, and wordings for them."""

from config.demo_data.catalogue import DemoCategory
from config.demo_data.templates import Template
from notifications.choices import Channel, Priority

_SHOP = "https://shop.example"
#: Samples of what the wordings take from the data.
_SAMPLES = {
    "order": "A-1001",
    "window": "9:00 and 11:00",
    "amount": "EUR 49.90",
    "time": "10:30",
    "place": "12 Harbour Street",
    "item": "the blue kettle",
    "who": "Ada",
    "thread": "kettles",
}

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
    used = {field: sample for field, sample in _SAMPLES.items() if f"{{{{ {field} }}}}" in title + body + link}
    return (
        name,
        used,
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
