"""A definition in words."""

import pytest

from campaigns.segments.wording import sentence
from tests.campaigns.segments.people import condition


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({}, "Everyone"),
        ({"all": []}, "Conditions that can't be read any more"),
        (condition("attributes.plan", "is", "pro"), "plan is “pro”"),
        (condition("attributes.age", "at_least", 18), "age ≥ 18"),
        (condition("email", "is_not_set"), "Email address is empty"),
        (condition("created_at", "within_days", 7), "Known since was in the last 7 days"),
        (condition("opened", "not_within_days", {"days": 30}), "Opened a message not in the last 30 days"),
        (
            condition("sent", "within_days", {"days": 30, "category": "news"}),
            "Was sent a message in the last 30 days of news",
        ),
        (
            condition("preference", "opted_out", {"channel": "email", "category": "news"}),
            "has opted out of Email for news",
        ),
        (condition("device", "has", "apns"), "Push device is registered (Apple (APNs))"),
        (condition("list", "not_in", 3), "Saved list is not on “VIPs”"),
        (condition("locale", "in", list("abcdefg")), "Locale is one of a, b, c, d, e and 2 more"),
        (
            {
                "all": [
                    condition("email", "is_set"),
                    {"any": [condition("phone", "is_set"), condition("device", "has")]},
                ]
            },
            "Email address is filled in and (Phone number is filled in or Push device is registered)",
        ),
        (
            {"none": [condition("email", "is_set"), condition("phone", "is_set")]},
            "not (Email address is filled in or Phone number is filled in)",
        ),
    ],
)
def test_reads_as_a_sentence(definition, said):
    assert sentence(definition, {3: "VIPs"}) == said
