"""How the list of dead letters is narrowed, and an address for each narrowing. All but the time stands on the index of
open letters."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from core.admin_filters import FormFilter, moment_field
from notifications.admin.replay_form import NONE, code_choices, provider_choices
from notifications.services.letters import LetterFilter

LIST = "admin:notifications_deadletter_changelist"
#: The list's parameter, the replay form's field: the same fact.
_FACTS = {"channel__exact": "channel", "provider": "provider", "cause__exact": "cause", "code": "code"}
_TIMES = {"died_from": "since", "died_before": "until"}


class ReplayedFilter(admin.SimpleListFilter):
    """Put back (or closed) already, or still to be decided."""

    title = "replayed"
    parameter_name = "replayed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Not replayed"), ("yes", "Replayed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in {"no", "yes"}:
            return queryset.filter(replayed_at__isnull=self.value() == "no")
        return queryset


class _TextFilter(admin.SimpleListFilter):
    """Equality on a text that may be empty, which an address calls `none`."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not (value := (self.value() or "").replace("\x00", "")):
            return queryset
        return queryset.filter(**{str(self.parameter_name): "" if value == NONE else value})


class ProviderFilter(_TextFilter):
    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return provider_choices()


class CodeFilter(_TextFilter):
    title = "code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return code_choices()


class DiedFilter(FormFilter):
    """Letters that died in a span of time."""

    title = "died"
    fields: ClassVar[dict[str, forms.Field]] = {
        "died_from": moment_field("Died from (UTC)"),
        "died_before": moment_field("Died before (UTC)"),
    }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if start := self.values.get("died_from"):
            queryset = queryset.filter(created_at__gte=start)
        if end := self.values.get("died_before"):
            queryset = queryset.filter(created_at__lt=end)
        return queryset


def list_address(wanted: LetterFilter) -> str:
    """The list of a group's open letters."""
    return f"{reverse(LIST)}?{urlencode({**_query(wanted, _FACTS), 'replayed': 'no'})}"


def replay_address(wanted: LetterFilter) -> str:
    """The form that replays a group."""
    return f"{reverse('admin:notifications_deadletter_replay_form')}?{urlencode(_query(wanted, {}))}"


def words_of_list(parameters: Mapping[str, str]) -> str:
    """What a list shows, as one would say it; "" where nothing narrows it to certain facts."""
    facts = {fact: parameters[name] for name, fact in _FACTS.items() if parameters.get(name)}
    chosen: dict[str, Any] = {fact: "" if value == NONE else value for fact, value in facts.items()}
    return LetterFilter(**chosen).words() if chosen else ""


def replay_address_of_list(parameters: Mapping[str, str]) -> str | None:
    """The form that replays what a list shows; None for lists it has no words for: a search, and what was replayed."""
    known = {**_FACTS, **_TIMES}
    if not set(parameters) <= {"replayed", "p", *known} or parameters.get("replayed") == "yes":
        return None
    asked = {known[name]: value for name, value in parameters.items() if name in known and value}
    return f"{reverse('admin:notifications_deadletter_replay_form')}?{urlencode(asked)}"


def _query(wanted: LetterFilter, names: Mapping[str, str]) -> dict[str, str]:
    by_fact = {fact: name for name, fact in names.items()}
    facts = {fact: getattr(wanted, fact) for fact in _FACTS.values()}
    return {by_fact.get(fact, fact): value or NONE for fact, value in facts.items() if value is not None}
