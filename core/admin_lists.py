"""Lists without counts: a page is read with one row too many, and that row says whether another page follows."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psycopg
from django.contrib import messages
from django.core.paginator import EmptyPage, Page, PageNotAnInteger, Paginator
from django.db import OperationalError, connection, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.views import ChangeList as UnfoldChangeList

from core import ids

#: A list that cannot be gathered in this time is not worth waiting for; the page says how to narrow it.
LIST_TIMEOUT_MS = 8_000
#: The furthest page of a list. OFFSET walks over what it skips; past this depth a search or a filter is the way.
MAX_PAGE = 1000


def estimated_rows(model: type[Model]) -> int:
    """The planner's row estimate of a table and its partitions, from the catalog; 0 where nothing was analysed yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(reltuples) FILTER (WHERE reltuples > 0), 0)::bigint FROM pg_class"
            " WHERE relkind = 'r' AND (oid = %(table)s::regclass"
            " OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %(table)s::regclass))",
            {"table": model._meta.db_table},
        )
        return int(cursor.fetchone()[0])


class LookaheadPage(Page):
    """A page that knows whether another follows, because one row more than it shows was read."""

    def __init__(self, object_list: Sequence[Any], number: int, paginator: Paginator, *, more: bool) -> None:
        super().__init__(object_list, number, paginator)
        self.more = more

    def has_next(self) -> bool:
        return self.more and self.number < MAX_PAGE


class LookaheadPaginator(Paginator):
    """Pages without a count: each is read with one row too many, and that row says whether to offer the next."""

    template_name = "admin/carillon/pagination.html"

    @property
    def count(self) -> int:
        return MAX_PAGE * self.per_page

    def validate_number(self, number: int | float | str) -> int:
        try:
            page = int(number)
        except (TypeError, ValueError):
            raise PageNotAnInteger("That page number is not a whole number.") from None
        if not 1 <= page <= MAX_PAGE:
            raise EmptyPage(f"Pages run from 1 to {MAX_PAGE}. Search or filter to see further.")
        return page

    def page(self, number: int | str) -> LookaheadPage:
        page = self.validate_number(number)
        start = (page - 1) * self.per_page
        rows = list(self.object_list[start : start + self.per_page + 1])
        return LookaheadPage(rows[: self.per_page], page, self, more=len(rows) > self.per_page)


class LookaheadChangeList(UnfoldChangeList):
    """Django's list, read one page at a time. `result_count` is exact on the last page and a floor before it;
    `estimate` is the planner's figure for an unfiltered list, else None."""

    page_num: int

    def get_results(self, request: HttpRequest) -> None:
        paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        number = min(max(self.page_num, 1), MAX_PAGE)
        page = self._read(request, paginator, number)
        self.model_admin.prepare_page(page.object_list)
        self.page_num = number
        self.page = page
        self.first = (number - 1) * self.list_per_page + 1
        self.last = self.first + len(page.object_list) - 1
        self.result_list = page.object_list
        self.result_count = self.last + (1 if page.has_next() else 0)
        self.estimate = self._estimate() if page.has_next() else None
        self.show_full_result_count = False
        self.full_result_count = self.result_count  # equal: the header has nothing to add
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = number > 1 or page.has_next()
        self.paginator = paginator

    def get_queryset(self, request: HttpRequest, exclude_parameters: Sequence[str] | None = None) -> QuerySet:
        queryset: QuerySet = super().get_queryset(request, exclude_parameters)
        narrowing = {name for name in self.get_filters_params() if self.params.get(name)}
        self.window: timedelta | None = self.model_admin.window_for(narrowing, self.query)
        if self.window is not None:
            queryset = queryset.filter(pk__gte=ids.floor(timezone.now() - self.window))
        return queryset

    def _read(self, request: HttpRequest, paginator: LookaheadPaginator, number: int) -> LookaheadPage:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {LIST_TIMEOUT_MS}")
                return paginator.page(number)
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                raise
            messages.error(
                request, "That list took too long to gather. Narrow it: a search, or a shorter span of time."
            )
            return LookaheadPage([], number, paginator, more=False)

    def _estimate(self) -> int | None:
        narrowed = bool(self.query or self.get_filters_params())
        rows = 0 if narrowed else estimated_rows(self.model)
        return rows if rows > self.result_count else None
