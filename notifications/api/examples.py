"""Bodies shown in the OpenAPI document."""

_ID = "019aac5e-7c1a-7b52-9d3f-5e8f0a6c2b11"

_TEMPLATE = {
    "recipient": "user-42",
    "category": "orders",
    "template": "order-shipped",
    "data": {"order": "A-1001"},
}
_INLINE = {
    "recipient": "user-42",
    "category": "security",
    "content": {"title": "Your code", "body": "Your sign-in code is 493 021."},
    "channels": ["push", "sms"],
    "priority": "critical",
    "expires_at": "2027-01-31T09:05:00Z",
}
_SCHEDULED = {
    "recipient": "user-42",
    "category": "orders",
    "content": {
        "email": {"subject": "How was it?", "text": "Tell us about your order."},
        "in_app": {"title": "How was it?", "body": "Tell us about your order.", "link": "/orders/A-1001/review"},
    },
    "send_at": "2027-01-31T09:00:00Z",
    "metadata": {"order": "A-1001"},
}
_ESCALATING = {
    **_TEMPLATE,
    "strategy": {
        "escalate": [
            {"channel": "in_app"},
            {"channel": "push", "after": 600, "unless": "seen"},
            {"channel": "email", "after": 3600, "unless": "read"},
        ]
    },
}
DRAFTS = {
    "With a template": _TEMPLATE,
    "With its own words": _INLINE,
    "Scheduled, by channel": _SCHEDULED,
    "Step by step, until it is read": _ESCALATING,
}
BULK = {
    "Two people": {"notifications": [_TEMPLATE, {**_TEMPLATE, "recipient": "user-43", "data": {"order": "A-1002"}}]}
}
EXPLAIN = {"A draft": _TEMPLATE, "A notification on the record": {"notification": _ID}}
ACCEPTED = {"id": _ID, "deliveries": 3, "skipped": 1, "url": f"/api/v1/notifications/{_ID}/", "duplicate_of": None}
CANCELLED = {"id": _ID, "cancelled": 3, "url": f"/api/v1/notifications/{_ID}/"}
DETAIL = {
    "id": _ID,
    "recipient": "user-42",
    "category": "orders",
    "template": "order-shipped",
    "template_version": 3,
    "priority": "normal",
    "source": "api:3fx8tfjcfkyi",
    "is_test": False,
    "created_at": "2026-11-22T09:00:00Z",
    "send_at": None,
    "expires_at": None,
    "cancelled_at": None,
    "url": f"/api/v1/notifications/{_ID}/",
    "dedup_key": "",
    "duplicate_of": None,
    "digest": None,
    "digest_of": [],
    "strategy": "all",
    "content": None,
    "data": {"order": "A-1001"},
    "metadata": {},
    "deliveries": [
        {
            "id": "019aac5e-7c1b-7d3e-8a10-2f4b6c8d0e12",
            "channel": "email",
            "priority": "normal",
            "status": "delivered",
            "skip_reason": None,
            "device_token": None,
            "attempts": 1,
            "provider": "simulated_email",
            "error_code": None,
            "created_at": "2026-11-22T09:00:00Z",
            "sent_at": "2026-11-22T09:00:00.310Z",
            "delivered_at": "2026-11-22T09:00:02.100Z",
            "opened_at": None,
            "clicked_at": None,
            "waiting": None,
            "request": {
                "fields": {"subject": 28, "text": 74},
                "headline": "Order A-1001 is on its way",
                "segments": None,
                "encoding": "",
                "fault": "",
            },
            "timeline": [
                {
                    "type": "accepted",
                    "at": "2026-11-22T09:00:00Z",
                    "attempt": 0,
                    "provider": "",
                    "code": "",
                    "detail": "",
                    "provider_message_id": "",
                },
                {
                    "type": "sent",
                    "at": "2026-11-22T09:00:00.310Z",
                    "attempt": 1,
                    "provider": "simulated_email",
                    "code": "",
                    "detail": "",
                    "provider_message_id": "sim-8f2a",
                },
            ],
        }
    ],
}
