"""Categories: what messages are about."""

from typing import Any, ClassVar

import msgspec
from django.db import IntegrityError, transaction
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import pagination, validation
from core.api.openapi import PAGE_PARAMETERS, call
from core.api.problems import Conflict, FieldProblem, Invalid
from preferences import strategies
from preferences.api.digest_shapes import check_config, config_shape
from preferences.api.scopes import CATALOG_READ, CATALOG_WRITE
from preferences.api.shapes import CategoryBody, CategoryChange, CategoryPage, CategoryShape, StepBody
from preferences.choices import Channel, Priority, Purpose, Strategy
from preferences.models import Category

#: Fields that a digest must go with.
_DIGEST_DEPENDS_ON = frozenset({"is_required", "channels", "strategy", "escalation"})
_EXAMPLE = {"slug": "orders", "name": "Orders", "channels": ["push", "email"], "default_priority": "normal"}


class CategoriesView(APIView):
    required_scopes: ClassVar = {"GET": CATALOG_READ, "POST": CATALOG_WRITE}

    @call("listCategories", "List categories by slug", answers={200: CategoryPage}, parameters=PAGE_PARAMETERS)
    def get(self, request: Request) -> Response:
        window = pagination.window(request)
        rows, next_cursor = pagination.page(Category.objects.all(), window, key="slug", newest_first=False)
        return Response(CategoryPage([_shape(row) for row in rows], next_cursor))

    @call(
        "createCategory",
        "Create a category",
        request=CategoryBody,
        answers={201: CategoryShape},
        examples={"Orders": _EXAMPLE},
        conflicts=True,
    )
    def post(self, request: Request) -> Response:
        """Known everywhere within five seconds."""
        body = validation.read(request.data, CategoryBody)
        channels = _channels(body.channels) if body.channels else list(Channel.values)
        made = Category(**{**_columns(body), "channels": channels})
        check_config(made)
        try:
            with transaction.atomic():
                made.save(force_insert=True)
        except IntegrityError:
            raise Conflict("There is a category with this slug already.") from None
        made.refresh_from_db()
        return Response(_shape(made), status=201)


class CategoryView(APIView):
    required_scopes: ClassVar = {"GET": CATALOG_READ, "PATCH": CATALOG_WRITE}

    @call("getCategory", "Read a category", answers={200: CategoryShape})
    def get(self, request: Request, slug: str) -> Response:
        return Response(_shape(_category(slug)))

    @call(
        "patchCategory",
        "Change a category",
        request=CategoryChange,
        answers={200: CategoryShape},
        examples={"No push": {"channels": ["email", "in_app"]}},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Known everywhere within five seconds."""
        body = validation.read(request.data, CategoryChange)
        changes = _columns(body)
        if "channels" in changes:
            changes["channels"] = _channels(changes["channels"])
        category = _category(slug)
        for name, value in changes.items():
            setattr(category, name, value)
        if body.digest is not msgspec.UNSET or not _DIGEST_DEPENDS_ON.isdisjoint(changes):
            check_config(category)
        if changes:
            category.save(update_fields=list(changes))
        return Response(_shape(category))


def _columns(body: CategoryBody | CategoryChange) -> dict[str, Any]:
    """What was given, by column."""
    given = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not msgspec.UNSET}
    if "escalation" in given:
        given["escalation"] = _escalation(given["escalation"])
    digest = given.pop("digest", None)
    return given if digest is None else {**given, **digest.columns()}


def _channels(given: list[Channel]) -> list[str]:
    for position, channel in enumerate(given):
        if channel in given[:position]:
            raise Invalid([FieldProblem(f"/channels/{position}", "repeated", f"{channel} is named twice.")])
    return [str(channel) for channel in given]


def _escalation(given: list[StepBody]) -> list[dict[str, Any]]:
    """Steps as they are stored; none for the default ones."""
    try:
        return strategies.as_json(strategies.steps(msgspec.to_builtins(given))) if given else []
    except strategies.Refused as refused:
        faults = [FieldProblem(f"/escalation{one.path}", one.code, one.message) for one in refused.faults]
        raise Invalid(faults) from None


def _category(slug: str) -> Category:
    found = Category.objects.filter(slug=slug).first()
    if found is None:
        raise exceptions.NotFound()
    return found


def _shape(row: Category) -> CategoryShape:
    return CategoryShape(
        row.slug,
        row.name,
        row.description,
        list(row.channels),
        Priority(row.default_priority),
        row.is_required,
        Purpose(row.purpose),
        row.dedup_seconds,
        row.track_clicks,
        row.track_opens,
        row.waits_for_quiet_hours,
        Strategy(row.strategy),
        row.fallback_seconds,
        msgspec.convert(row.escalation, list[StepBody]),
        config_shape(row),
        row.cap_per_day,
        row.cap_per_week,
        row.created_at,
    )
