"""The admin of recipients and what they want. Every write goes through PreferencesService, so that caches drop and
routes already accepted are looked at again."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from core.admin import BaseTabularInline, BigTableAdmin, Question, ReadOnlyMixin, page_action
from core.admin_filters import FormFilter, text_field
from preferences import admin_suppressions  # noqa: F401 - registers its pages
from preferences.category_admin import CategoryAdmin
from preferences.choices import Changed, Channel, Platform, Way
from preferences.forms import RecipientForm
from preferences.kinds import Part
from preferences.models import ALL_MARKETING, ChangeRecord, DeviceToken, MarketingStop, Preference, Recipient
from preferences.services import PreferencesService, RecipientInput, Trace
from preferences.signals import recipient_erased

__all__ = ["CategoryAdmin"]


def recipient_id(external_id: str) -> UUID | None:
    """The key of a recipient, looked up by itself so that a big table is then read by its own index."""
    return Recipient.objects.filter(external_id=external_id).values_list("pk", flat=True).first()


def redacted(token: DeviceToken) -> str:
    """Enough of a push address to tell two apart, too little to use it."""
    return f"…{token.token[-4:]} ({token.token_hash[:8]})" if len(token.token) > 12 else token.token_hash[:8]


class RecipientFilter(FormFilter):
    """Rows of one recipient, named by external id."""

    title = "recipient"
    fields: ClassVar = {"recipient": text_field("Recipient (external id)")}

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        given = self.values.get("recipient")
        return queryset.filter(recipient_id=recipient_id(given)) if given else queryset


class OfRecipientAdmin(ReadOnlyMixin, BigTableAdmin):
    """Rows that belong to a recipient, found by the recipient's external id or their own key."""

    list_filter: ClassVar[Sequence[Any]] = (RecipientFilter,)
    list_select_related: ClassVar[Sequence[str]] = ("recipient",)
    search_exact = ("id",)
    search_help_text = "External id of the recipient"

    def exact_query(self, term: str) -> Q | None:
        found = recipient_id(term)
        return None if found is None else Q(recipient_id=found)

    @admin.display(description="Recipient")
    def of(self, row: Any) -> str:
        url = reverse("admin:preferences_recipient_change", args=[row.recipient_id])
        return format_html('<a class="cr-link" href="{}">{}</a>', url, row.recipient.external_id)


class DeviceTokenInline(BaseTabularInline):
    """The recipient's devices: to be looked at; devices register themselves."""

    model = DeviceToken
    fields = readonly_fields = ("platform", "label", "token_end", "registered_at", "retired_at", "retired_reason")
    ordering = ("-registered_at",)
    can_delete = False
    hide_title = True
    max_num = 0
    verbose_name_plural = "Devices"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="Token")
    def token_end(self, token: DeviceToken) -> str:
        return redacted(token)


@admin.register(Recipient)
class RecipientAdmin(BigTableAdmin):
    """People. Apps that know more about them add a link to `elsewhere`: (title, address of a recipient's rows)."""

    elsewhere: ClassVar[list[tuple[str, Callable[[Recipient], str]]]] = []

    form = RecipientForm
    inlines = (DeviceTokenInline,)
    list_display = ("external_id", "name", "email", "phone", "devices", "locale", "created_at")
    list_before_template = "admin/preferences/recipient/import_hint.html"
    change_form_before_template = "admin/preferences/recipient/elsewhere.html"
    change_form_after_template = "admin/preferences/recipient/words.html"
    change_form_outer_after_template = "admin/preferences/recipient/find_kinds.html"
    search_exact = ("external_id", "id", "email__iexact", "phone")
    search_help_text = "External id, id, email or phone, in full"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "external_id",
                    "name",
                    ("email", "phone"),
                    ("locale", "timezone"),
                    ("quiet_start", "quiet_end", "quiet_never"),
                )
            },
        ),
        (
            "More",
            {
                "fields": ("attributes", ("email_verified_at", "phone_verified_at"), "created_at", "updated_at"),
                "classes": ("collapse",),
            },
        ),
    )
    readonly_fields = ("email_verified_at", "phone_verified_at", "created_at", "updated_at")
    actions_detail = ("erase",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Recipient]:
        live = DeviceToken.objects.filter(recipient=OuterRef("pk"), retired_at=None).order_by().values("recipient")
        count = Subquery(live.annotate(n=Count("pk")).values("n"))
        queryset: QuerySet[Recipient] = super().get_queryset(request)
        return queryset.annotate(live_devices=count)

    def exact_query(self, term: str) -> Q | None:
        phone = "".join(c for c in term if c.isdigit() or c == "+")
        query = super().exact_query(term)
        return query | Q(phone=phone) if query and phone.startswith("+") and phone != term else query

    def get_readonly_fields(self, request: HttpRequest, obj: Recipient | None = None) -> Sequence[str]:
        return self.readonly_fields if obj is None else ("external_id", *self.readonly_fields)

    def get_form(
        self, request: HttpRequest, obj: Recipient | None = None, change: bool = False, **kwargs: Any
    ) -> type[RecipientForm]:
        form: type[RecipientForm] = super().get_form(request, obj, change, **kwargs)
        form.part = Part.read(request.GET)  # a class of this request alone
        return form

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Who turns to other kinds of messages comes back to the list as they narrowed it."""
        context["list_filters"] = request.GET.get("_changelist_filters", "")
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[no-any-return]  # untyped base

    @admin.display(description="Devices")
    def devices(self, recipient: Any) -> int:
        return recipient.live_devices or 0

    def save_model(self, request: HttpRequest, obj: Recipient, form: RecipientForm, change: bool) -> None:
        service, trace, row = (
            PreferencesService(),
            Trace(Way.ADMIN),
            RecipientInput(external_id=obj.external_id, **form.given()),
        )
        if change:
            service.change(row, trace)
        else:
            service.upsert([row], trace)
        if changes := form.words.changes():
            service.set_preferences(obj.external_id, changes, trace)
        if rhythms := form.words.rhythm_changes():
            service.set_digests(obj.external_id, rhythms, trace)
        obj.pk = recipient_id(obj.external_id) or obj.pk

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        recipient = self.get_object(request, object_id)
        links = [(title, link(recipient)) for title, link in self.elsewhere] if recipient else []
        context = {**(extra_context or {}), "elsewhere": links, "show_delete": False}
        try:
            return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]  # untyped base
        except Recipient.DoesNotExist:
            messages.error(request, "This recipient was erased meanwhile.")
            return redirect("admin:preferences_recipient_changelist")

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Erasing is the only way to delete a person: other apps keep things about them."""
        return redirect("admin:preferences_recipient_erase", object_id)

    @page_action(description="Erase…", icon="person_remove", permission="delete")
    def erase(self, request: HttpRequest, object_id: str) -> HttpResponse:
        recipient = self.object_or_404(request, object_id)
        if request.method == "POST" and request.POST.get("confirmed"):
            PreferencesService().erase(recipient.external_id)
            messages.success(request, "The recipient and what was kept about them is erased.")
            return redirect("admin:preferences_recipient_changelist")
        question = Question(
            title=f"Erase {recipient.external_id}?",
            message="Their addresses, devices, preferences and feed go, and what was written to them is blanked."
            " Counts and suppressions stay. This cannot be undone.",
            button="Erase for good",
            back=reverse("admin:preferences_recipient_change", args=[object_id]),
        )
        return self.confirm(request, question)


@receiver(recipient_erased, sender=Recipient)
def _forget_in_the_admin_log(recipient_id: UUID, **_: object) -> None:
    """The log of this admin names rows by what they were called; a person who is erased has no name any more."""
    kind = ContentType.objects.get_for_model(Recipient)
    LogEntry.objects.filter(content_type=kind, object_id=str(recipient_id)).update(object_repr="erased recipient")


@admin.register(Preference)
class PreferenceAdmin(OfRecipientAdmin):
    """Words people said; they are changed on the recipient's page."""

    list_display = ("id", "of", "channel", "about", "enabled", "updated_at")
    list_select_related = ("recipient", "category")

    @admin.display(description="Category")
    def about(self, preference: Preference) -> str:
        return preference.category.name if preference.category else "Every category"


@admin.register(ChangeRecord)
class ChangeRecordAdmin(OfRecipientAdmin):
    """Who changed what about whom, and by which way. Written along with each change."""

    list_display = ("at", "of", "about", "change", "way")
    list_select_related = ("recipient", "category")
    fields = readonly_fields = ("of", "at", "way_shown", "about", "change", "device", "batch")

    @admin.display(description="What")
    def about(self, change: ChangeRecord) -> str:
        label = str(Changed(change.what).label)
        if change.what not in (Changed.PREFERENCE, Changed.DIGEST):
            return label
        where = change.category.name if change.category else "Every category"
        if change.what == Changed.DIGEST:
            return f"{where}: {label.lower()}"
        if change.subject == ALL_MARKETING:
            where = "All marketing"
        return f"{where}, {Channel(change.channel).label}" if change.channel else where

    @admin.display(description="Change")
    def change(self, change: ChangeRecord) -> str:
        return change.told()

    @admin.display(description="By way of")
    def way_shown(self, change: ChangeRecord) -> str:
        return str(Way(change.way).label)

    @admin.display(description="Device")
    def device(self, change: ChangeRecord) -> str:
        return "" if change.subject == ALL_MARKETING else change.subject or "—"


@admin.register(MarketingStop)
class MarketingStopAdmin(OfRecipientAdmin):
    """Who wants no marketing at all on a channel; they say so on their own pages, or your service for them."""

    list_display = ("id", "of", "channel", "created_at")


@admin.register(DeviceToken)
class DeviceTokenAdmin(OfRecipientAdmin):
    """Push addresses. The token itself is never shown."""

    list_display = ("id", "of", "platform", "label", "token_end", "registered_at", "retired_at", "retired_reason")
    exclude = ("token",)
    readonly_fields = ("token_end",)
    search_help_text = "Recipient's external id, device id, or the whole token"
    actions = ("retire",)

    def exact_query(self, term: str) -> Q | None:
        own = BigTableAdmin.exact_query(self, term) or Q(pk=None)
        by_token = Q(platform__in=Platform.values, token_hash=DeviceToken.hash_of(term))
        return own | by_token | (super().exact_query(term) or Q(pk=None))

    @admin.display(description="Token")
    def token_end(self, token: DeviceToken) -> str:
        return redacted(token)

    @admin.action(description="Retire…", permissions=["act"])
    def retire(self, request: HttpRequest, queryset: QuerySet[DeviceToken]) -> HttpResponse | None:
        ids = [str(pk) for pk in queryset.values_list("pk", flat=True)]
        if request.POST.get("confirmed"):
            retired = PreferencesService().retire_tokens(
                [UUID(pk) for pk in ids], "set by hand", trace=Trace(Way.ADMIN)
            )
            messages.success(request, f"Retired {retired} of {len(ids)} devices.")
            return None
        question = Question(
            title=f"Retire {len(ids)} device(s)?",
            message="Nothing is sent to a retired device until it registers again.",
            button="Retire",
            back=reverse("admin:preferences_devicetoken_changelist"),
            hidden=[("action", "retire"), *(("_selected_action", pk) for pk in ids)],
        )
        return self.confirm(request, question)
