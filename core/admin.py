"""What every admin page of Carillon stands on: one ModelAdmin that stays quick on tables of any size.

A list here costs one page of rows: no COUNT(*), no unbounded select, no sort without an index, no substring search.
Every admin class, User and Group included, inherits BaseModelAdmin; one that did not would lose the layout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.paginator import EmptyPage, Page, PageNotAnInteger, Paginator
from django.db import connection
from django.db.models import Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import StackedInline as UnfoldStackedInline
from unfold.admin import TabularInline as UnfoldTabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.views import ChangeList as UnfoldChangeList

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
        page = paginator.page(number)
        self.page_num = number
        self.page = page
        self.first = (number - 1) * self.list_per_page + 1
        self.last = self.first + len(page.object_list) - 1
        self.result_list = page.object_list
        self.result_count = self.last + (1 if page.has_next() else 0)
        self.estimate = self._estimate() if page.has_next() else None
        self.show_full_result_count = False
        self.full_result_count = None
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = number > 1 or page.has_next()
        self.paginator = paginator

    def _estimate(self) -> int | None:
        narrowed = bool(self.query or self.get_filters_params())
        rows = 0 if narrowed else estimated_rows(self.model)
        return rows if rows > self.result_count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a confirmation page asks. `hidden` goes back with the answer, as (name, value) inputs."""

    title: str
    message: str
    button: str
    back: str
    hidden: Sequence[tuple[str, str]] = ()
    danger: bool = True


class BaseModelAdmin(UnfoldModelAdmin):
    """The one base. `search_exact` names the lookups of the search box: `field` (equality) or `field__startswith`,
    each on an index; a term that a field cannot hold (a word for a UUID) skips that field."""

    search_exact: ClassVar[Sequence[str]] = ()

    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # facets count every choice
    paginator = LookaheadPaginator
    list_fullwidth = True
    list_filter_submit = True
    compressed_fields = True
    warn_unsaved_form = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LookaheadChangeList]:
        return LookaheadChangeList

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        return self.search_exact or super().get_search_fields(request)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip().replace("\x00", "")
        if not self.search_exact:
            return super().get_search_results(request, queryset, term)  # type: ignore[no-any-return]  # untyped base
        if not term:
            return queryset, False
        query = self.exact_query(term)
        return (queryset.none() if query is None else queryset.filter(query)), False

    def exact_query(self, term: str) -> Q | None:
        """What the search box means by `term`, or None when nothing can match. Override for ids of other tables."""
        query = Q()
        for lookup in self.search_exact:
            if (value := self._value_for(lookup, term)) is not None:
                query |= Q(**{lookup: value})
        return query or None

    def _value_for(self, lookup: str, term: str) -> object | None:
        path = lookup.removesuffix(f"{LOOKUP_SEP}startswith")
        model: type[Model] = self.model
        *parents, name = path.split(LOOKUP_SEP)
        try:
            for parent in parents:
                model = model._meta.get_field(parent).related_model  # type: ignore[assignment]  # a class, never "self"
            value: object = model._meta.get_field(name).to_python(term)  # type: ignore[union-attr]  # a concrete field
        except (FieldDoesNotExist, ValidationError, ValueError, OverflowError):
            return None
        return value

    def has_act_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether this user may use the page's actions: the change permission, also where the form is read-only."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def confirm(self, request: HttpRequest, question: Question) -> TemplateResponse:
        """A page that asks before something happens; its form posts to the address it was shown at, with
        `confirmed=1`. The caller acts on such a POST alone."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": question.title,
            "question": question,
        }
        return TemplateResponse(request, "admin/carillon/confirm.html", context)


class BigTableAdmin(BaseModelAdmin):
    """For tables of 10 million rows and more: newest first on the primary key, no other sort, nothing in bulk that
    reaches past the page ("select all" and Django's delete are gone), no history column."""

    ordering = ("-pk",)
    sortable_by = ()
    list_disable_select_all = True

    def get_actions(self, request: HttpRequest) -> dict[str, tuple[Callable[..., Any], str, str]]:
        actions: dict[str, tuple[Callable[..., Any], str, str]] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        post = request.POST.copy()
        post["select_across"] = "0"  # an action touches the ticked rows of this page and no others
        request.POST = post  # type: ignore[assignment]  # a mutable copy of the same data
        return super().response_action(request, queryset)  # type: ignore[no-any-return]  # untyped base


class ReadOnlyMixin:
    """Rows that other parts write: to be looked at. Actions stay possible through `has_act_permission`."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        opts = self.opts  # type: ignore[attr-defined]  # mixed into a ModelAdmin
        user = request.user
        return user.has_perm(f"{opts.app_label}.view_{opts.model_name}") or user.has_perm(
            f"{opts.app_label}.change_{opts.model_name}"
        )


class BaseTabularInline(UnfoldTabularInline):
    """Inlines list at most 50 rows and add none unasked."""

    extra = 0
    per_page = 50


class BaseStackedInline(UnfoldStackedInline):
    """As BaseTabularInline, one form below the other."""

    extra = 0
    per_page = 50


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, BaseModelAdmin):  # type: ignore[misc]  # unfold's bases are untyped
    """Who may sign in here."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "is_superuser", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, BaseModelAdmin):  # type: ignore[misc]  # unfold's bases are untyped
    """Permissions by role: give view alone to those who look, change to those who act."""
