"""Digests: what waits for whom, when it leaves, and what went."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.admin import BigTableAdmin, ReadOnlyMixin
from notifications.admin import looks
from notifications.digests import upkeep
from notifications.models import Digest, DigestItem, DigestState
from preferences.models import Recipient

#: Items that a digest's page names.
MAX_SHOWN = 50
_TONES = {DigestState.OPEN: "blue", DigestState.SENT: "green", DigestState.EMPTY: "amber"}


@admin.register(Digest)
class DigestAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by the pipeline. Here: read, or sent before their time."""

    list_display = ("id", "who", "category", "key", "count", "shown", "leaves", "is_test")
    list_filter = ("state", "category")
    list_select_related = ("category",)
    search_exact = ("id", "notification_id")
    search_help_text = "External id of the recipient, or id of the digest or of its notification"
    fields = readonly_fields = (
        "who", "category", "key", "state", "count", "channels", "opens_at", "closes_at", "closed_at", "sent_as",
        "is_test", "gathered",
    )  # fmt: skip
    actions = ("leave",)

    def exact_query(self, term: str) -> Q | None:
        person = Recipient.objects.filter(external_id=term).values_list("pk", flat=True).first()
        return super().exact_query(term) if person is None else Q(recipient_id=person)

    @admin.display(description="Recipient")
    def who(self, row: Digest) -> SafeString:
        name = Recipient.objects.filter(pk=row.recipient_id).values_list("external_id", flat=True).first()
        url = reverse("admin:preferences_recipient_change", args=[row.recipient_id])
        return format_html('<a class="cr-link" href="{}">{}</a>', url, name or "erased")

    @admin.display(description="State", ordering="state")
    def shown(self, row: Digest) -> SafeString:
        return looks.badge(row.get_state_display(), _TONES[DigestState(row.state)])

    @admin.display(description="Leaves, or left")
    def leaves(self, row: Digest) -> str:
        return looks.moment(row.closed_at or row.closes_at)

    @admin.display(description="Sent as")
    def sent_as(self, row: Digest) -> str | SafeString:
        return _link(row.notification_id) if row.notification_id else "nothing yet"

    @admin.display(description="Gathered")
    def gathered(self, row: Digest) -> SafeString:
        rows = DigestItem.objects.filter(digest=row).order_by("notification_id")
        items = rows.values_list("notification_id", flat=True)[:MAX_SHOWN]
        links = format_html_join("", "<li>{}</li>", ((_link(item),) for item in items))
        return format_html('<ul class="cr-ids">{}</ul>', links)

    @admin.action(description="Send now", permissions=["act"])
    def leave(self, request: HttpRequest, queryset: QuerySet[Digest]) -> None:
        sent = upkeep.send_now(Q(pk__in=list(queryset.values_list("pk", flat=True))))
        messages.success(request, f"{sent} digest{'' if sent == 1 else 's'} will leave within seconds.")


def _link(id: Any) -> SafeString:
    url = reverse("admin:notifications_notification_change", args=[id])
    return format_html('<a class="cr-link" href="{}"><code>{}</code></a>', url, id)
