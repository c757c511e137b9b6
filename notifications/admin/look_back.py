"""Filters without an index: the newest rows are looked at first, and that is said; the rest when somebody asks for it.

Without a bound, a filter that fits next to nothing (what is queued, when nothing is) reads a week of the record, and
takes seconds to say so.
"""

from datetime import datetime
from typing import Any

from django.contrib.admin.views.main import ALL_VAR
from django.http import HttpRequest
from django.utils import timezone

from core import ids
from core.admin_lists import LookaheadChangeList, LookaheadPage, LookaheadPaginator

#: Rows looked at for a page, first and at most: some 5 and 20 ms on a record of 20 million that is not in memory. Most
#: filters fill their page from the first.
STEPS = (5_000, 25_000)


class LookBackChangeList(LookaheadChangeList):
    """`reach` is the moment back to which was looked, None where that is all that was asked for. `?all=1` looks at the
    whole window."""

    reach: datetime | None = None
    looked_at: int = STEPS[-1]

    @property
    def further(self) -> str:
        """The address of the same list over the whole window."""
        return str(self.get_query_string({ALL_VAR: "1"}))

    def _read(self, request: HttpRequest, paginator: LookaheadPaginator, number: int) -> LookaheadPage:
        # An upper end of the time is asked for by its filter: the newest rows are not what is wanted then.
        if self.window is None or self.show_all or self.params.get("created_to"):
            return super()._read(request, paginator, number)
        for rows in STEPS:
            boundary = self._boundary(rows)
            if boundary is None:  # that is the whole window
                return super()._read(request, paginator, number)
            near = self.queryset.filter(pk__gte=boundary)
            page = super()._read(request, self.model_admin.get_paginator(request, near, self.list_per_page), number)
            if page.has_next():
                return page
        self.reach = ids.made_at(boundary)
        return page

    def _boundary(self, rows: int) -> Any:
        """The id of the last of so many rows of the window, newest first; None when there are fewer."""
        assert self.window is not None  # noqa: S101 - asked only with one
        newest = self.model._default_manager.filter(pk__gte=ids.floor(timezone.now() - self.window)).order_by("-pk")
        return next(iter(newest.values_list("pk", flat=True)[rows - 1 : rows]), None)
