"""Signed messages: the specification's own example, and everything that must not pass."""

import pytest

from core.standard_webhooks import InvalidSignature, new_secret, sign, verify

#: The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers(**changes: str) -> dict[str, str]:
    made = {"webhook-id": ID, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}
    return {name: value for name, value in {**made, **changes}.items() if value}


def test_it_signs_as_the_specification_does() -> None:
    assert sign([SECRET], id=ID, timestamp=AT, body=BODY) == headers()


def test_it_knows_its_own() -> None:
    assert verify([SECRET], headers(), BODY, now=AT + 299.0) == ID


def test_either_secret_is_enough_while_one_is_exchanged() -> None:
    old, new = new_secret(), new_secret()
    both = sign([old, new], id=ID, timestamp=AT, body=BODY)

    assert verify([new], both, BODY, now=AT) == verify([old], both, BODY, now=AT) == ID
    assert verify([new, old], sign([old], id=ID, timestamp=AT, body=BODY), BODY, now=AT) == ID


@pytest.mark.parametrize(
    ("given", "body", "now"),
    [
        (headers(), BODY + b" ", AT),
        (headers(), BODY, AT + 301),
        (headers(), BODY, AT - 301),
        (headers(**{"webhook-id": "msg_other"}), BODY, AT),
        (headers(**{"webhook-timestamp": str(AT + 1)}), BODY, AT),
        (headers(**{"webhook-timestamp": "1e9"}), BODY, AT),
        (headers(**{"webhook-timestamp": "٤٢"}), BODY, AT),
        (headers(**{"webhook-timestamp": "9" * 400}), BODY, AT),
        (headers(**{"webhook-signature": "v1,"}), BODY, AT),
        (headers(**{"webhook-signature": SIGNATURE.replace("v1", "v0")}), BODY, AT),
        (headers(**{"webhook-signature": "v1,ü"}), BODY, AT),
        (headers(**{"webhook-signature": ""}), BODY, AT),
        ({}, BODY, AT),
    ],
)
def test_nothing_else_passes(given: dict[str, str], body: bytes, now: float) -> None:
    with pytest.raises(InvalidSignature):
        verify([SECRET], given, body, now=now)


def test_another_secret_does_not_open_it() -> None:
    with pytest.raises(InvalidSignature):
        verify([new_secret()], headers(), BODY, now=AT)


def test_a_secret_that_is_none_is_said_to_be() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        sign(["whsec_not base64!"], id=ID, timestamp=AT, body=BODY)
