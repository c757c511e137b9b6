"""What every admin page of Carillon stands on: one ModelAdmin that stays quick on tables of any size.

A list here costs one page of rows: no COUNT(*), no unbounded select, no sort without an index, no substring search.
Every admin class, User and Group included, inherits BaseModelAdmin; one that did not would lose the layout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, TypeVar, cast

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import StackedInline as UnfoldStackedInline
from unfold.admin import TabularInline as UnfoldTabularInline
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from core.admin_lists import LookaheadChangeList, LookaheadPaginator

View = TypeVar("View", bound=Callable[..., HttpResponse])


def page_action(*, description: str, permission: str, icon: str = "") -> Callable[[View], View]:
    """A button on a row's page that leads to a view of the admin class, `<row>/<view's name>/`; `permission` names its
    `has_<permission>_permission`. unfold's decorator, with a type. The view asks on GET and acts on POST."""
    decorate = action(description=description, permissions=[permission], icon=icon or None)
    return cast("Callable[[View], View]", decorate)


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
    """The one base. `search_exact` names the lookups of the search box: `field` (equality), `field__iexact` or
    `field__startswith`, each on an index; a term that a field cannot hold (a word for a UUID) skips that field."""

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

    def prepare_page(self, rows: Sequence[Any]) -> None:
        """Called with the rows of a page before they are shown: read here, once, what every row needs."""

    def window_for(self, narrowing: set[str], search: str) -> timedelta | None:
        """How far back a list may look, None for all the way. Asked with the filters in use and the search."""
        return None

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Of the model's own fields those alone by which the list offers to be narrowed. Django takes any, so whoever
        may only look could ask for a secret that is nowhere shown, letter by letter: `?secret__startswith=a`."""
        name = lookup.partition(LOOKUP_SEP)[0]
        try:
            self.model._meta.get_field(name)
        except FieldDoesNotExist:  # the parameter of a filter, or nothing's
            return bool(super().lookup_allowed(lookup, value, request))
        filters = self.list_filter if request is None else self.get_list_filter(request)
        fields, parameters = _offered(filters)
        if lookup in parameters:
            return True
        return name in fields and "\x00" not in str(value) and bool(super().lookup_allowed(lookup, value, request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LookaheadChangeList]:
        return LookaheadChangeList

    def get_paginator(
        self, request: HttpRequest, queryset: QuerySet, per_page: int, *args: Any, **kwargs: Any
    ) -> Paginator:
        if queryset.model is LogEntry:  # a row's history is short, and its page tells how long it is
            return Paginator(queryset, per_page)
        return super().get_paginator(request, queryset, per_page, *args, **kwargs)  # type: ignore[no-any-return]  # untyped base

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
        path = lookup.removesuffix(f"{LOOKUP_SEP}startswith").removesuffix(f"{LOOKUP_SEP}iexact")
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

    def object_or_404(self, request: HttpRequest, object_id: str) -> Any:
        """The row behind an address, through the page's own queryset; a malformed key is not found, either."""
        found = self.get_object(request, unquote(str(object_id)))
        if found is None:
            raise Http404(f"There is no such {self.opts.verbose_name}.")
        return found

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


def _offered(filters: Sequence[Any]) -> tuple[set[str], set[str]]:
    """The fields that filters are about, and the parameters of those with a class of their own."""
    fields: set[str] = set()
    parameters: set[str] = set()
    for one in filters:
        if isinstance(one, str):
            fields.add(one.partition(LOOKUP_SEP)[0])
        elif isinstance(one, (list, tuple)):
            fields.add(str(one[0]).partition(LOOKUP_SEP)[0])
        else:
            parameters.update(getattr(one, "fields", ()))  # a FormFilter's
            parameters.add(str(getattr(one, "parameter_name", "")))
    return fields, parameters


class BigTableAdmin(BaseModelAdmin):
    """For tables of 10 million rows and more: newest first on the primary key, no other sort, nothing in bulk that
    reaches past the page ("select all" and Django's delete are gone), no history column."""

    #: Filters with an index behind them; any of these narrows enough to look at the whole table.
    indexed_filters: ClassVar[frozenset[str]] = frozenset()
    #: For tables keyed by UUIDv7: how far back the other filters look when none of those narrows them.
    filter_window: ClassVar[timedelta | None] = None

    ordering = ("-pk",)
    sortable_by = ()
    list_disable_select_all = True

    def window_for(self, narrowing: set[str], search: str) -> timedelta | None:
        scans = bool(narrowing) and not narrowing & self.indexed_filters and not search
        return self.filter_window if scans else None

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


admin.site.index_title = "Home"
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
