"""Notifications: the list, and the page that tells what became of one."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join

from core.admin import Question, page_action
from core.admin_filters import CreatedFilter, FormFilter, text_field
from notifications.admin import explain, looks, timeline
from notifications.admin.record import RecordAdmin, as_uuid
from notifications.choices import Status
from notifications.errors import AlreadyLeft
from notifications.models import Delivery, Notification
from notifications.services.notification import NotificationService
from preferences.admin import RecipientAdmin, RecipientFilter, recipient_id
from preferences.models import Category, Recipient

_LIST = "admin:notifications_notification_changelist"
_EXPLAIN = f"admin:{explain.NAME}"


class SourceFilter(FormFilter):
    """Who asked, exactly: `api:<key prefix>`, `campaign:42`, `notify`."""

    title = "source"
    fields: ClassVar = {"source": text_field("Source, for example campaign:42")}

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        given = self.values.get("source")
        return queryset.filter(source=given) if given else queryset


class CategoryFilter(admin.SimpleListFilter):
    """One category, chosen from all of them without looking at the notifications."""

    title = "category"
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in Category.objects.values_list("pk", "name")[:200]]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        return queryset.filter(category_id=int(value)) if value and value.isdecimal() else queryset


@admin.register(Notification)
class NotificationAdmin(RecordAdmin):
    """Written by NotificationService alone. Here: read, and cancel."""

    list_display = ("short", "to", "outcome", "about", "source", "when")
    list_display_links = ("short",)
    list_filter = (RecipientFilter, CreatedFilter, CategoryFilter, SourceFilter)
    indexed_filters = frozenset({"recipient", "created_from"})
    search_help_text = "Notification id, delivery id, or recipient's external id"
    detail_template = "admin/notifications/notification/detail.html"
    actions_detail = ("cancel",)

    def get_urls(self) -> list[URLPattern]:
        own = path("explain/", self.admin_site.admin_view(explain.view(self.admin_site)), name=explain.NAME)
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        queryset: QuerySet[Notification] = super().get_queryset(request)
        return queryset.defer("content", "data", "metadata")

    def exact_query(self, term: str) -> Q | None:
        wanted = Q()
        if (key := as_uuid(term)) is not None:
            wanted |= Q(pk=key)
            if owner := Delivery.objects.filter(pk=key).values_list("notification_id", flat=True).first():
                wanted |= Q(pk=owner)
        if (person := recipient_id(term)) is not None:
            wanted |= Q(recipient_id=person)
        return wanted or None

    def prepare_page(self, rows: Sequence[Any]) -> None:
        super().prepare_page(rows)
        categories = Category.objects.in_bulk({row.category_id for row in rows})
        deliveries: dict[Any, list[Delivery]] = {}
        for delivery in timeline.deliveries_of(rows):
            deliveries.setdefault(delivery.notification_id, []).append(delivery)
        for row in rows:
            row.subject = categories.get(row.category_id)
            row.ways = sorted(deliveries.get(row.pk, []), key=lambda delivery: delivery.channel)

    @admin.display(description="Notification")
    def short(self, row: Notification) -> str:
        return looks.short_id(row.pk)

    @admin.display(description="Category")
    def about(self, row: Any) -> str:
        return row.subject.name if row.subject else f"#{row.category_id}"

    @admin.display(description="Outcome")
    def outcome(self, row: Any) -> str:
        pills = format_html_join(
            "",
            '<span class="cr-pill cr-{}" title="{}: {}">{}</span>',
            ((looks.TONES[d.status], d.get_channel_display(), _said(d), looks.symbol(d.channel)) for d in row.ways[:8]),
        )
        more = format_html('<span class="cr-subtle">+{}</span>', len(row.ways) - 8) if len(row.ways) > 8 else ""
        marks = looks.badge("test", "blue") if row.is_test else ""
        return format_html('<span class="cr-pills">{}{}{}</span>', pills, more, marks)

    def detail(self, request: HttpRequest, row: Notification) -> dict[str, Any]:
        recipient = Recipient.objects.filter(pk=row.recipient_id).first()
        cards = timeline.cards(row, recipient)
        return {
            "notification": row,
            "recipient": recipient,
            "category": Category.objects.filter(pk=row.category_id).first(),
            "version": row.template_version if row.template_version_id else None,
            "cards": cards,
            "duplicate_of": next((s.duplicate_of for card in cards for s in card.steps if s.duplicate_of), None),
            "data": _pretty(row.data),
            "content": _pretty(row.content),
            "metadata": _pretty(row.metadata),
            "can_cancel": self.has_act_permission(request) and _cancellable(row, [c.delivery for c in cards]),
        }

    @page_action(description="Cancel…", permission="act")
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.object_or_404(request, object_id)
        page = reverse("admin:notifications_notification_change", args=[row.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            try:
                stopped = NotificationService().cancel(row.pk)
                self.log_change(request, row, f"Cancelled {stopped} deliveries")
                messages.success(request, f"Stopped {stopped} {'delivery' if stopped == 1 else 'deliveries'}.")
            except AlreadyLeft:
                messages.warning(request, "Too late: nothing was waiting any more.")
            return redirect(page)
        question = Question(
            title="Cancel this notification?",
            message="What has not left yet is skipped, and its timeline says so. What is with a provider stays sent.",
            button="Cancel it",
            back=page,
        )
        return self.confirm(request, question)


def _said(delivery: Delivery) -> str:
    status = str(Status(delivery.status).label)
    return f"{status}. {looks.words(delivery.skip_reason)}" if delivery.skip_reason else status


def _cancellable(row: Notification, deliveries: Sequence[Delivery]) -> bool:
    return row.cancelled_at is None and any(delivery.status == Status.QUEUED for delivery in deliveries)


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


RecipientAdmin.elsewhere.append(
    ("Notifications to them", lambda person: reverse(_LIST, query={"recipient": person.external_id}))
)
RecipientAdmin.elsewhere.append(
    (
        "Explain a message to them",
        lambda person: reverse(f"admin:{explain.NAME}", query={"recipient": person.external_id}),
    )
)
