"""Digests: what waits for whom, when it leaves, and what went."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from core.admin import BigTableAdmin, Question, ReadOnlyMixin, page_action
from notifications.admin import looks
from notifications.choices import Channel
from notifications.digests import upkeep
from notifications.models import Digest, DigestItem, DigestState
from preferences.models import Recipient

#: Items that a digest's page names.
MAX_SHOWN = 50
_TONES = {DigestState.OPEN: "blue", DigestState.SENT: "green", DigestState.EMPTY: "amber"}


@admin.register(Digest)
class DigestAdmin(ReadOnlyMixin, BigTableAdmin):
    """Written by the pipeline. Here: read, or sent before their time."""

    list_display = ("whose", "about", "key_shown", "messages_in", "shown", "leaves", "kind")
    list_filter = ("state", "category")
    list_select_related = ("category",)
    search_exact = ("id", "notification_id")
    search_help_text = "External id of the recipient, or id of the digest or of its notification"
    fields = readonly_fields = (
        "who", "category", "key_shown", "shown", "messages_in", "ways", "opened", "leaves", "sent_as", "kind",
        "gathered",
    )  # fmt: skip
    actions = ("leave",)
    actions_detail = ("now",)

    def prepare_page(self, rows: Sequence[Any]) -> None:
        super().prepare_page(rows)
        people = Recipient.objects.filter(pk__in={row.recipient_id for row in rows})
        names = dict(people.values_list("pk", "external_id"))
        for row in rows:
            row.name = names.get(row.recipient_id, "erased")

    def exact_query(self, term: str) -> Q | None:
        person = Recipient.objects.filter(external_id=term).values_list("pk", flat=True).first()
        return super().exact_query(term) if person is None else Q(recipient_id=person)

    @admin.display(description="Recipient")
    def whose(self, row: Any) -> str:
        return str(row.name)

    @admin.display(description="Recipient")
    def who(self, row: Digest) -> SafeString:
        name = Recipient.objects.filter(pk=row.recipient_id).values_list("external_id", flat=True).first()
        url = reverse("admin:preferences_recipient_change", args=[row.recipient_id])
        return format_html('<a class="cr-link" href="{}">{}</a>', url, name or "erased")

    @admin.display(description="Category")
    def about(self, row: Digest) -> SafeString:
        return looks.long(row.category.name)

    @admin.display(description="Key")
    def key_shown(self, row: Digest) -> SafeString | str:
        """Digests of one category are kept apart by it; most have none."""
        return looks.long(row.key) if row.key else "—"

    @admin.display(description="Messages")
    def messages_in(self, row: Digest) -> str:
        return f"{row.count:,}"

    @admin.display(description="Kind")
    def kind(self, row: Digest) -> SafeString:
        return looks.badge("test", "sand") if row.is_test else looks.badge("live", "teal")

    @admin.display(description="Held back on")
    def ways(self, row: Digest) -> str:
        return ", ".join(str(Channel(channel).label) for channel in row.channels) or "—"

    @admin.display(description="Opened")
    def opened(self, row: Digest) -> str:
        return looks.moment(row.opens_at)

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
        items = rows.values_list("notification_id", "at")[:MAX_SHOWN]
        links = format_html_join("", "<li>{} {}</li>", ((_link(item), looks.moment(at)) for item, at in items))
        if not links:
            return format_html("{}", "Nothing")
        more = row.count - MAX_SHOWN
        rest = format_html("<li>and {} more</li>", f"{more:,}") if more > 0 else ""
        return format_html('<ul class="cr-ids">{}{}</ul>', links, rest)

    @admin.action(description="Send now", permissions=["act"])
    def leave(self, request: HttpRequest, queryset: QuerySet[Digest]) -> None:
        sent = upkeep.send_now(Q(pk__in=list(queryset.values_list("pk", flat=True))))
        if not sent:
            messages.warning(request, "Nothing to send: only an open digest can leave.")
            return
        messages.success(request, f"{sent} digest{'' if sent == 1 else 's'} will leave within seconds.")

    @page_action(description="Send now…", icon="send", permission="act")
    def now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        digest: Digest = self.object_or_404(request, object_id)
        page = reverse("admin:notifications_digest_change", args=[object_id])
        if request.method == "POST" and request.POST.get("confirmed"):
            self.leave(request, Digest.objects.filter(pk=digest.pk))
            return redirect(page)
        what = "1 message" if digest.count == 1 else f"{digest.count:,} messages"
        question = Question(
            title="Send this digest now?",
            message=f"What it has gathered ({what}) leaves within seconds, instead of waiting for its time. The next"
            " message opens a new digest.",
            button="Send now",
            back=page,
            danger=False,
        )
        return self.confirm(request, question)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """The button is there while the digest is open."""
        digest = self.get_object(request, unquote(str(object_id)))
        if digest is None or digest.state != DigestState.OPEN:
            return []
        return list(super().get_actions_detail(request, object_id))


def _link(id: Any) -> SafeString:
    url = reverse("admin:notifications_notification_change", args=[id])
    return format_html('<a class="cr-link" href="{}"><code>{}</code></a>', url, id)
