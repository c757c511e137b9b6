"""The demo's templates. Content is `[locale][channel][field]`, Liquid text."""

from typing import Any

#: A name, the variables with a sample each, and content by locale, channel and field.
Template = tuple[str, dict[str, Any], dict[str, dict[str, dict[str, str]]]]


def _html(heading: str, text: str, link: str, button: str, way_out: str = "") -> str:
    """A mail that reads well in every client: one column, inline styles, nothing to download. Marketing has a way out,
    under this name."""
    link_out = f'<a href="{{{{ unsubscribe_url }}}}" style="color:#6b7280">{way_out}</a>'
    footer = f'<p style="font-size:13px;margin:32px 0 0">{link_out}</p>'
    return (
        '<div style="font-family:Helvetica,Arial,sans-serif;max-width:560px;margin:0 auto;padding:24px;color:#1f2937">'
        f'<h1 style="font-size:22px;margin:0 0 16px">{heading}</h1>'
        f'<p style="font-size:16px;line-height:1.5;margin:0 0 24px">{text}</p>'
        f'<a href="{link}" style="background:#4338ca;color:#ffffff;text-decoration:none;padding:12px 20px;'
        f'border-radius:8px;display:inline-block">{button}</a>{footer if way_out else ""}</div>'
    )


_TRACK = "https://shop.example/orders/{{ order }}"

TEMPLATES: dict[str, Template] = {
    "approval-request": (
        "Approval request",
        {"who": "Kofi", "what": "the spring campaign", "request": "R-100"},
        {
            "en": {
                "in_app": {
                    "title": "{{ who }} asks for your approval",
                    "body": "It is about {{ what }}.",
                    "link": "https://shop.example/approvals/{{ request }}",
                    "icon": "✍️",
                },
                "push": {"title": "{{ who }} asks for your approval", "body": "It is about {{ what }}."},
                "email": {
                    "subject": "Still waiting for you: {{ what }}",
                    "text": (
                        "Hello {{ recipient.name }},\n\n{{ who }} asks for your approval of {{ what }}.\n\n"
                        "https://shop.example/approvals/{{ request }}\n"
                    ),
                },
            },
        },
    ),
    "at-your-door": (
        "At your door",
        {"order": "A-1001"},
        {
            "en": {
                "push": {"title": "Your courier is at the door", "body": "With order {{ order }}."},
                "sms": {"body": "Your courier is at the door with order {{ order }}."},
                "email": {
                    "subject": "Your courier was at the door",
                    "text": "Hello {{ recipient.name }},\n\nwe could not reach you about order {{ order }}.\n",
                },
            },
        },
    ),
    "new-comment": (
        "New comment",
        {"who": "Grace", "post": "Kettles of the world", "words": "Well said!"},
        {
            "en": {
                "in_app": {
                    "title": "{{ who }} commented on “{{ post }}”",
                    "body": "{{ words }}",
                    "link": "https://shop.example/community",
                    "icon": "💬",
                },
                "push": {"title": "{{ who }} commented", "body": "{{ words }}"},
                "email": {
                    "subject": "{{ who }} commented on “{{ post }}”",
                    "text": "Hello {{ recipient.name }},\n\n{{ who }} wrote on “{{ post }}”:\n\n{{ words }}\n",
                },
            },
        },
    ),
    "comments-digest": (
        "Comments, gathered",
        {
            "count": 3,
            "items": [{"title": "Grace commented", "body": "Well said!", "link": "https://shop.example/posts/7"}],
            "more": 2,
            "since": "2027-01-31T09:00:00+00:00",
        },
        {
            "en": {
                "email": {
                    "subject": "{{ count }} new comments",
                    "text": (
                        "Hello {{ recipient.name }},\n\nthese are new:\n"
                        "{% for item in items %}\n- {{ item.title }}: {{ item.body }}{% endfor %}"
                        "{% if more > 0 %}\nand {{ more }} more{% endif %}\n"
                    ),
                },
                "push": {
                    "title": "{{ count }} new comments",
                    "body": "{% for item in items limit: 3 %}{{ item.title }}. {% endfor %}",
                },
            },
        },
    ),
    "order-shipped": (
        "Order shipped",
        {"order": "A-1001", "eta": "on Friday"},
        {
            "en": {
                "email": {
                    "subject": "Your order {{ order }} is on its way",
                    "preheader": "It arrives {{ eta }}.",
                    "text": (
                        "Hello {{ recipient.name }},\n\nyour order {{ order }} has left our warehouse"
                        " and arrives {{ eta }}.\n\nFollow it: " + _TRACK + "\n"
                    ),
                    "html": _html(
                        "On its way, {{ recipient.name }}",
                        "Your order <b>{{ order }}</b> has left our warehouse and arrives {{ eta }}.",
                        _TRACK,
                        "Follow your parcel",
                    ),
                },
                "push": {"title": "Order {{ order }} shipped", "body": "It arrives {{ eta }}.", "link": _TRACK},
                "sms": {"body": "Your order {{ order }} is on its way and arrives {{ eta }}."},
                "in_app": {
                    "title": "Order {{ order }} shipped",
                    "body": "It arrives {{ eta }}.",
                    "link": _TRACK,
                    "icon": "📦",
                },
            },
            "de": {
                "email": {
                    "subject": "Ihre Bestellung {{ order }} ist unterwegs",
                    "preheader": "Ankunft: {{ eta }}.",
                    "text": (
                        "Hallo {{ recipient.name }},\n\nIhre Bestellung {{ order }} hat unser Lager verlassen."
                        " Ankunft: {{ eta }}.\n\nVerfolgen: " + _TRACK + "\n"
                    ),
                    "html": _html(
                        "Unterwegs, {{ recipient.name }}",
                        "Ihre Bestellung <b>{{ order }}</b> hat unser Lager verlassen. Ankunft: {{ eta }}.",
                        _TRACK,
                        "Sendung verfolgen",
                    ),
                },
                "push": {"title": "Bestellung {{ order }} versandt", "body": "Ankunft: {{ eta }}.", "link": _TRACK},
                "sms": {"body": "Ihre Bestellung {{ order }} ist unterwegs. Ankunft: {{ eta }}."},
                "in_app": {
                    "title": "Bestellung {{ order }} versandt",
                    "body": "Ankunft: {{ eta }}.",
                    "link": _TRACK,
                    "icon": "📦",
                },
            },
        },
    ),
    "security-code": (
        "Security code",
        {"code": "482913"},
        {
            "en": {
                "email": {
                    "subject": "Your sign-in code",
                    "text": "Your code is {{ code }}. It is good for ten minutes.\n\nNot you? Change your password.\n",
                },
                "push": {"title": "Your sign-in code", "body": "{{ code }} is good for ten minutes."},
                "sms": {"body": "{{ code }} is your sign-in code, good for ten minutes. Never share it."},
                "in_app": {"title": "Someone is signing in", "body": "Your code is {{ code }}.", "icon": "🔐"},
            },
            "de": {
                "email": {
                    "subject": "Ihr Anmeldecode",
                    "text": "Ihr Code ist {{ code }}. Er gilt zehn Minuten.\n\nNicht Sie? Ändern Sie Ihr Passwort.\n",
                },
                "push": {"title": "Ihr Anmeldecode", "body": "{{ code }} gilt zehn Minuten."},
                "sms": {"body": "{{ code }} ist Ihr Anmeldecode und gilt zehn Minuten. Geben Sie ihn nicht weiter."},
                "in_app": {"title": "Jemand meldet sich an", "body": "Ihr Code ist {{ code }}.", "icon": "🔐"},
            },
        },
    ),
    "weekly-offer": (
        "Weekly offer",
        {},
        {
            "en": {
                "email": {
                    "subject": "{{ recipient.name | default: 'Hello' }}, this week's offer",
                    "preheader": "Until Sunday, for you.",
                    "text": (
                        "This week: 20% off everything blue, until Sunday.\n\nhttps://shop.example/offers\n\n"
                        "No more offers: {{ unsubscribe_url }}\n"
                    ),
                    "html": _html(
                        "This week's offer",
                        "20% off everything blue, until Sunday.",
                        "https://shop.example/offers",
                        "Have a look",
                        "No more offers",
                    ),
                },
                "push": {
                    "title": "20% off everything blue",
                    "body": "Until Sunday.",
                    "link": "https://shop.example/offers",
                },
                "sms": {"body": "20% off everything blue, until Sunday: https://shop.example/offers"},
                "in_app": {
                    "title": "20% off everything blue",
                    "body": "Until Sunday.",
                    "link": "https://shop.example/offers",
                    "icon": "🎁",
                },
            },
            "pt-BR": {
                "email": {
                    "subject": "{{ recipient.name | default: 'Olá' }}, a oferta da semana",
                    "preheader": "Até domingo, para você.",
                    "text": (
                        "Esta semana: 20% de desconto em tudo azul, até domingo.\n\nhttps://shop.example/offers\n\n"
                        "Não quero mais ofertas: {{ unsubscribe_url }}\n"
                    ),
                    "html": _html(
                        "A oferta da semana",
                        "20% de desconto em tudo azul, até domingo.",
                        "https://shop.example/offers",
                        "Ver ofertas",
                        "Não quero mais ofertas",
                    ),
                },
                "push": {"title": "20% em tudo azul", "body": "Até domingo.", "link": "https://shop.example/offers"},
                "sms": {"body": "20% de desconto em tudo azul, até domingo: https://shop.example/offers"},
                "in_app": {
                    "title": "20% em tudo azul",
                    "body": "Até domingo.",
                    "link": "https://shop.example/offers",
                    "icon": "🎁",
                },
            },
        },
    ),
}
