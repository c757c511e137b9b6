"""How the list of deliveries is narrowed: what became of them, why, through whom, about what. The dashboard's figures
lead here. No index serves these: a span of time bounds what is read, and without one the list looks at the newest."""

from collections.abc import Mapping

from django.conf import settings
from django.contrib import admin
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst

from notifications.choices import FailureCode, SkipReason, Status
from notifications.models import Notification
from preferences.models import Category

#: Categories on offer: more have their ids typed into the address.
MOST_CATEGORIES = 200
#: What the parameter may say, how that is called, and which deliveries it means. A delivery can be several of these.
OUTCOMES: Mapping[str, tuple[str, Q]] = {
    "sent": ("Taken by a provider", Q(sent_at__isnull=False)),
    "delivered": ("Delivered", Q(delivered_at__isnull=False)),
    "opened": ("Opened", Q(opened_at__isnull=False)),
    "clicked": ("Clicked", Q(clicked_at__isnull=False)),
    "skipped": ("Skipped", Q(status=Status.SKIPPED)),
    "retried": (
        "Tried more than once",
        Q(attempts__gt=F("holds") + 1) | Q(attempts__gt=F("holds"), status=Status.QUEUED),
    ),
    "held": ("Held back", Q(holds__gt=0)),
    "bounced": ("Bounced", Q(status=Status.BOUNCED)),
    "failed": ("Refused for good", Q(status=Status.FAILED)),
    "dead": ("Given up", Q(status=Status.DEAD)),
    "waiting": ("Not at an end yet", Q(status__in=[Status.QUEUED, Status.SENDING])),
}


class OutcomeFilter(admin.SimpleListFilter):
    """What became of them."""

    title = "what happened"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in OUTCOMES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        found = OUTCOMES.get(self.value() or "")
        return queryset.filter(found[1]) if found else queryset


class ReasonFilter(admin.SimpleListFilter):
    """Why they were skipped, or the last error of their sending."""

    title = "reason"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(word, capfirst(str(label))) for words in (SkipReason, FailureCode) for word, label in words.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value() or ""
        if value in SkipReason.values:
            return queryset.filter(skip_reason=value)
        return queryset.filter(error_code=value) if value in FailureCode.values else queryset


class ProviderFilter(admin.SimpleListFilter):
    """Who was asked last."""

    title = "provider"
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(settings.PROVIDERS)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = (self.value() or "").replace("\x00", "")
        return queryset.filter(provider=value) if value else queryset


class CategoryFilter(admin.SimpleListFilter):
    """What the notification is about: it is looked up by its key for each delivery that is read."""

    title = "category"
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in Category.objects.values_list("pk", "name")[:MOST_CATEGORIES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value() or ""
        if not (value.isascii() and value.isdecimal()):
            return queryset
        of_category = Notification.objects.filter(pk=OuterRef("notification_id"), category_id=int(value[:4]))
        return queryset.filter(Exists(of_category))
