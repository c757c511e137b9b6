"""List filters that stay on an index: an exact text, and a span of time read as a range of UUIDv7 ids."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextInputWidget

from core import ids


class FormFilter(admin.ListFilter):
    """A filter that is a small form. Subclasses name their inputs in `fields` and narrow in `queryset`."""

    template = "admin/carillon/filter.html"
    fields: ClassVar[dict[str, forms.Field]] = {}

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.fields:
            if given := params.pop(name, None):
                value = str(given[-1] if isinstance(given, list) else given).replace("\x00", "").strip()
                if value:
                    self.used_parameters[name] = value
        self.form = type("FilterForm", (forms.Form,), dict(self.fields))(self.used_parameters or None)
        self.values: dict[str, Any] = self.form.cleaned_data if self.form.is_valid() else {}
        for name, errors in self.form.errors.items():
            messages.warning(request, f"{self.fields[name].label}: {' '.join(map(str, errors))}")

    def has_output(self) -> bool:
        return True

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def expected_parameters(self) -> list[str | None]:
        return list(self.fields)

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {"form": self.form}


def text_field(label: str) -> forms.CharField:
    return forms.CharField(label=label, required=False, max_length=200, widget=UnfoldAdminTextInputWidget)


class _DateTimeLocal(UnfoldAdminTextInputWidget):
    """The browser's own date and time picker."""

    input_type = "datetime-local"

    def format_value(self, value: object) -> str | None:
        return value.strftime("%Y-%m-%dT%H:%M") if isinstance(value, datetime) else super().format_value(value)


def moment_field(label: str) -> forms.DateTimeField:
    formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]
    return forms.DateTimeField(label=label, required=False, input_formats=formats, widget=_DateTimeLocal)


class CreatedFilter(FormFilter):
    """Rows made in a span of time, as a range of ids, so that only the partitions of that span are read."""

    title = "created"
    fields: ClassVar[dict[str, forms.Field]] = {
        "created_from": moment_field("Created from (UTC)"),
        "created_to": moment_field("Created before (UTC)"),
    }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if start := self.values.get("created_from"):
            queryset = queryset.filter(pk__gte=_floor(start))
        if end := self.values.get("created_to"):
            queryset = queryset.filter(pk__lt=_floor(end))
        return queryset


def _floor(moment: datetime) -> Any:
    epoch = datetime.fromtimestamp(0, tz=timezone.get_current_timezone())
    return ids.floor(max(moment, epoch))  # a UUIDv7 knows no time before 1970
