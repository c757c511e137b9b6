from typing import Any

import pytest

from core import ids
from preferences.models import DeviceToken
from preferences.services import PreferencesService
from tests import factories
from tests.api import Api, codes

pytestmark = pytest.mark.django_db

TOKEN = "d3f1c0ffee" * 8
SUBSCRIPTION = {"endpoint": "https://push.example/send/abc", "keys": {"p256dh": "BLc4", "auth": "tBHI"}}


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    factories.recipient("user-42", devices=0)
    factories.recipient("user-43", devices=0)


def test_a_registered_device_is_reached_and_its_token_not_shown(api: Api) -> None:
    response = api.post("recipients/user-42/device-tokens/", {"platform": "fcm", "token": TOKEN, "label": "Phone"})

    assert response.status_code == 201
    assert TOKEN not in response.content.decode()
    assert TOKEN not in api.get("recipients/user-42/device-tokens/").content.decode()
    (device,) = PreferencesService().reach(["user-42"])["user-42"].devices
    assert str(ids.uuid(device)) == response.json()["id"]


def test_registering_again_changes_nothing(api: Api) -> None:
    body = {"platform": "fcm", "token": TOKEN}
    first = api.post("recipients/user-42/device-tokens/", body).json()

    assert api.post("recipients/user-42/device-tokens/", body).json()["id"] == first["id"]


def test_a_subscription_is_the_same_as_object_in_any_order(api: Api) -> None:
    api.post("recipients/user-42/device-tokens/", {"platform": "webpush", "token": SUBSCRIPTION})

    turned = dict(reversed(SUBSCRIPTION.items()))
    api.post("recipients/user-42/device-tokens/", {"platform": "webpush", "token": turned})

    assert DeviceToken.objects.count() == 1


def test_a_token_belongs_to_who_registered_it_last(api: Api) -> None:
    body = {"platform": "fcm", "token": TOKEN}
    api.post("recipients/user-42/device-tokens/", body)

    api.post("recipients/user-43/device-tokens/", body)

    assert api.get("recipients/user-42/device-tokens/").json()["results"] == []
    assert len(api.get("recipients/user-43/device-tokens/").json()["results"]) == 1


def test_a_deleted_device_is_reached_no_more(api: Api) -> None:
    made = api.post("recipients/user-42/device-tokens/", {"platform": "fcm", "token": TOKEN}).json()

    assert api.delete(f"recipients/user-42/device-tokens/{made['id']}/").status_code == 204

    assert PreferencesService().reach(["user-42"])["user-42"].devices == ()
    [shown] = api.get("recipients/user-42/device-tokens/").json()["results"]
    assert shown["retired_reason"] == "removed"


def test_a_device_can_only_be_deleted_as_its_owner_s(api: Api) -> None:
    made = api.post("recipients/user-42/device-tokens/", {"platform": "fcm", "token": TOKEN}).json()

    assert api.delete(f"recipients/user-43/device-tokens/{made['id']}/").status_code == 404

    assert DeviceToken.objects.get().retired_at is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"platform": "pager", "token": TOKEN}, "/platform"),
        ({"platform": "fcm", "token": ""}, "/token"),
        ({"platform": "fcm", "token": "x" * 5000}, "/token"),
        ({"platform": "fcm", "token": 7}, "/token"),
        ({"platform": "fcm"}, "/token"),
        ({"platform": "fcm", "token": TOKEN, "label": "x" * 101}, "/label"),
    ],
)
def test_a_fault_is_422_with_its_pointer(api: Api, body: Any, pointer: str) -> None:
    assert list(codes(api.post("recipients/user-42/device-tokens/", body))) == [pointer]


def test_nobody_has_no_devices(api: Api) -> None:
    assert api.get("recipients/nobody/device-tokens/").status_code == 404
    assert api.post("recipients/nobody/device-tokens/", {"platform": "fcm", "token": TOKEN}).status_code == 404
