import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from core.api import pagination
from core.api.problems import Invalid
from preferences.models import Category, Recipient
from tests import factories


def asked(query: str) -> pagination.Window:
    return pagination.window(Request(APIRequestFactory().get(f"/?{query}")))


@pytest.mark.django_db
def test_pages_by_id_show_every_row_once_newest_first() -> None:
    made = [row.external_id for row in factories.recipients(7)]

    seen, cursor = [], ""
    for _ in range(4):
        rows, following = pagination.page(Recipient.objects.all(), asked(f"limit=2&cursor={cursor}"))
        seen += [row.external_id for row in rows]
        cursor = following or ""

    assert seen == made[::-1]
    assert cursor == ""


@pytest.mark.django_db
def test_pages_by_name_go_forward() -> None:
    for slug in ("b", "a", "c"):
        factories.category(slug)

    rows, cursor = pagination.page(Category.objects.all(), asked("limit=2"), key="slug", newest_first=False)
    rest, end = pagination.page(
        Category.objects.all(), asked(f"limit=2&cursor={cursor}"), key="slug", newest_first=False
    )

    assert [row.slug for row in [*rows, *rest]] == ["a", "b", "c"]
    assert end is None


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "9" * 400, "٣"])
def test_a_limit_outside_its_bounds_is_refused(limit: str) -> None:
    with pytest.raises(Invalid):
        asked(f"limit={limit}")


@pytest.mark.django_db
@pytest.mark.parametrize("cursor", ["!!!", "YWJj", "%00", "\ud83d\ude00".encode("utf-16", "surrogatepass").hex(), "AA"])
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        pagination.page(Recipient.objects.all(), asked(f"cursor={cursor}"))
