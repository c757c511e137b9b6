"""The admin of addresses that must not be used, and of the keywords that stop and start a number."""

from collections.abc import Sequence

from django.contrib import admin, messages
from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from core.admin import BigTableAdmin, ReadOnlyMixin, page_action
from preferences.choices import Channel, Way
from preferences.forms import LiftForm, SuppressionForm
from preferences.models import HeardKeyword, Suppression
from preferences.services import PreferencesService, Trace
from preferences.services.addresses import LIFTABLE, ONLY_START


def by_admin(request: HttpRequest) -> str:
    """Who changes something here, as the history names them."""
    return f"admin:{request.user.get_username()}"[:64]


@admin.register(Suppression)
class SuppressionAdmin(BigTableAdmin):
    """Addresses that must not be used, kept as hashes: added and searched by address, lifted by typing it."""

    form = SuppressionForm
    list_display = ("__str__", "channel", "reason", "source", "created_at")
    list_display_links = ("__str__",)
    search_exact = ("address_hash",)
    search_help_text = "The address, in full"
    actions_detail = ("lift",)

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Sequence[str]:
        if obj is None:
            return ("channel", "address", "reason")
        return ("channel", "address_hash", "reason", "source", "created_at")

    def exact_query(self, term: str) -> Q | None:
        return Q(channel__in=Channel.values, address_hash__in=[Suppression.hash_of(term), term])

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_lift_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("preferences.delete_suppression"))

    def save_model(self, request: HttpRequest, obj: Suppression, form: SuppressionForm, change: bool) -> None:
        channel, address, reason = (form.cleaned_data[name] for name in ("channel", "address", "reason"))
        by = by_admin(request)
        PreferencesService().suppress(channel, address, reason, by, Trace(Way.ADMIN, by=by))
        kept = Suppression.objects.get(channel=channel, address_hash=Suppression.hash_of(address), reason=reason)
        for field in kept._meta.concrete_fields:
            setattr(obj, field.attname, getattr(kept, field.attname))

    @page_action(description="Lift…", icon="lock_open", permission="lift")
    def lift(self, request: HttpRequest, object_id: str) -> HttpResponse:
        suppression = self.object_or_404(request, object_id)
        form = LiftForm(request.POST if request.method == "POST" else None, suppression=suppression)
        if request.method == "POST" and form.is_valid():
            trace = Trace(Way.ADMIN, by=by_admin(request))
            address = form.cleaned_data["address"]
            PreferencesService().lift(suppression.channel, address, only=[suppression.reason], trace=trace)
            self.log_deletions(request, [suppression])
            messages.success(request, self._after_lift(suppression))
            return redirect("admin:preferences_suppression_changelist")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Lift a suppression",
            "original": suppression,
            "form": form,
            "refusal": "" if suppression.reason in LIFTABLE else ONLY_START,
            "back": reverse("admin:preferences_suppression_change", args=[object_id]),
        }
        return TemplateResponse(request, "admin/preferences/suppression/lift.html", context)

    def _after_lift(self, lifted: Suppression) -> str:
        rest = Suppression.objects.filter(channel=lifted.channel, address_hash=lifted.address_hash).order_by("id")
        reasons = [str(one.get_reason_display()) for one in rest]
        return f"Lifted. It is still not used: {', '.join(reasons)}." if reasons else "The address may be used again."


@admin.register(HeardKeyword)
class HeardKeywordAdmin(ReadOnlyMixin, BigTableAdmin):
    """What people answered to text messages, as carriers' keywords. The number is kept as its hash."""

    list_display = ("__str__", "word", "origin", "message_id", "said_at", "heard_at")
    list_display_links = ("__str__",)
    search_exact = ("address_hash", "message_id")
    search_help_text = "The phone number in full, or the provider's id of the message"

    def exact_query(self, term: str) -> Q | None:
        return Q(address_hash__in=[Suppression.hash_of(term), term]) | Q(message_id=term)
