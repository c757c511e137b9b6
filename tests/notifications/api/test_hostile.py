"""Whatever is thrown at a call that writes, the answer is never a 500."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import Api

pytestmark = pytest.mark.django_db

NAMES = st.sampled_from(
    [
        "recipient",
        "category",
        "template",
        "content",
        "data",
        "channels",
        "priority",
        "send_at",
        "expires_at",
        "dedup_key",
        "metadata",
        "notifications",
        "recipients",
        "external_id",
        "name",
        "email",
        "phone",
        "locale",
        "timezone",
        "attributes",
        "preferences",
        "channel",
        "enabled",
        "platform",
        "token",
        "label",
        "slug",
        "description",
        "default_priority",
        "is_required",
        "version",
        "title",
        "body",
        "subject",
        "text",
        "html",
        "link",
    ]
)
WORDS = st.sampled_from(
    [
        "user-42",
        "orders",
        "order-shipped",
        "push",
        "email",
        "sms",
        "in_app",
        "normal",
        "2027-01-01T00:00:00Z",
        "9999-12-31T23:59:59+14:00",
        "0001-01-01T00:00:00-14:00",
        "a@b.example",
        "+4915112345678",
        "de",
        "Europe/Berlin",
        "fcm",
        "webpush",
        "{{x}}",
        "{%raw%}",
        "..",
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | WORDS
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6)
)
CALLS = st.sampled_from(
    [
        ("POST", "notifications/"),
        ("POST", "notifications/bulk/"),
        ("PUT", "recipients/user-42/"),
        ("PATCH", "recipients/user-42/"),
        ("POST", "recipients/bulk/"),
        ("PUT", "recipients/user-42/preferences/"),
        ("PATCH", "recipients/user-42/preferences/"),
        ("POST", "recipients/user-42/device-tokens/"),
        ("POST", "categories/"),
        ("PATCH", "categories/orders/"),
        ("POST", "templates/order-shipped/preview/"),
    ]
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(call=CALLS, body=VALUES)
def test_any_json_is_answered(api: Api, shop: None, call: tuple[str, str], body: Any) -> None:
    method, path = call

    response = api.call(method, path, body)

    assert response.status_code in {200, 201, 202, 409, 422}, (call, body, response.content)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(call=CALLS, name=NAMES, value=VALUES)
def test_one_odd_field_in_a_good_body_is_answered(
    api: Api, shop: None, call: tuple[str, str], name: str, value: Any
) -> None:
    method, path = call
    good: dict[str, Any] = {
        "notifications/": {"recipient": "user-42", "category": "orders", "template": "order-shipped"},
        "categories/": {"slug": "new", "name": "New"},
        "recipients/user-42/device-tokens/": {"platform": "fcm", "token": "t" * 32},
    }.get(path, {})

    response = api.call(method, path, {**good, name: value})

    assert response.status_code in {200, 201, 202, 409, 422}, (call, name, value, response.content)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(call=CALLS, body=st.binary(max_size=60))
def test_any_bytes_are_answered(api: Api, shop: None, call: tuple[str, str], body: bytes) -> None:
    method, path = call

    assert api.call(method, path, body).status_code in {200, 400, 422}
