"""Where campaign managers live: drafts are a form, a started campaign is a page that moves."""

from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from campaigns import selectors
from campaigns.forms import CampaignForm
from campaigns.models import Action, Audience, Campaign, CampaignStatus
from campaigns.preview import facts, preview
from campaigns.services import AudienceService, tell
from core.admin import BaseModelAdmin

_COLOURS = {
    "Draft": "default",
    "In review": "warning",
    "Approved": "primary",
    "Scheduled": "info",
    "Sending": "info",
    "Paused": "warning",
    "Completed": "success",
    "Cancelled": "danger",
    "Cancelling": "danger",
}


@admin.register(Campaign)
class CampaignAdmin(BaseModelAdmin):
    """Drafts can be edited and deleted; what was started stays, and is stopped or resumed from its page."""

    form = CampaignForm
    list_display = ("name", "state", "progress", "template", "started", "created_by")
    list_filter = ("status",)
    list_select_related = ("template", "category", "created_by")
    search_fields = ("name",)
    ordering = ("-id",)
    sortable_by = ()
    actions = None
    actions_submit_line = ("review",)
    fieldsets = (
        (None, {"fields": ("name", "template", "category")}),
        (
            "To whom",
            {
                "fields": (
                    "audience",
                    "segment",
                    "saved_list",
                    "recipients",
                    "leave_out_unknown",
                    "exclude_segments",
                    "exclude_lists",
                )
            },
        ),
        ("How", {"fields": ("channels", "priority", "data")}),
        (
            "Link parameters",
            {
                "fields": (("utm_source", "utm_medium"), ("utm_campaign",), ("utm_term", "utm_content")),
                "classes": ("collapse",),
                "description": "Added to every link as utm_source and so on, for the statistics of your website. What"
                " a link has already stays.",
            },
        ),
    )
    conditional_fields: ClassVar = {
        "segment": f"audience == '{Audience.SEGMENT.value}'",
        "saved_list": f"audience == '{Audience.SAVED_LIST.value}'",
        "recipients": f"audience == '{Audience.LIST.value}'",
        "leave_out_unknown": f"audience == '{Audience.LIST.value}'",
    }

    class Media:
        css: ClassVar = {"all": ["campaigns/campaign.css"]}

    @display(description="Status", label=_COLOURS)  # type: ignore[untyped-decorator]  # unfold has no types
    def state(self, campaign: Campaign) -> str:
        return selectors.status_label(campaign)

    @admin.display(description="Handed out")
    def progress(self, campaign: Campaign) -> str | SafeString:
        if campaign.started_at is None:
            return "–"
        people = selectors.people(campaign)
        return format_html(
            '<span class="campaign-progress"><progress max="{}" value="{}"></progress>{} of {}</span>',
            people["audience"],
            people["audience"] - people["waiting"],
            intcomma(people["handled"]),
            intcomma(people["audience"]),
        )

    @admin.display(description="Started")
    def started(self, campaign: Campaign) -> str:
        return "–" if campaign.started_at is None else date_format(campaign.started_at, "j M Y, H:i")

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Of what is not a draft the form only shows."""
        is_draft = obj is None or obj.status == CampaignStatus.DRAFT
        return is_draft and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        is_draft = obj is None or obj.status == CampaignStatus.DRAFT
        return is_draft and super().has_delete_permission(request, obj)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """The campaign alone: listing the members of its audience would be a page of 50,000 lines."""
        return [str(obj) for obj in objs], {"campaigns": len(objs)}, set(), []

    def get_fieldsets(self, request: HttpRequest, obj: Campaign | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return ((None, {"fields": ("name", "template", "category", "audience", "channels", "priority", "data")}),)

    def save_model(self, request: HttpRequest, obj: Campaign, form: ModelForm, change: bool) -> None:
        if not change:
            obj.created_by_id = request.user.pk
        obj.edited_by_id, obj.edited_at = request.user.pk, timezone.now()
        super().save_model(request, obj, form, change)
        members = form.members if isinstance(form, CampaignForm) and obj.audience == Audience.LIST else ()
        AudienceService().keep(obj, members)
        tell(obj.pk, Action.EDITED if change else Action.CREATED, cast(User, request.user))

    @action(  # type: ignore[untyped-decorator]  # unfold has no types
        description="Review and send…", icon="send", permissions=["act"], attrs={"name": "_review"}
    )
    def review(self, request: HttpRequest, obj: Campaign) -> None:
        """A button that saves, too; where it leads is `_to_review`."""

    def _to_review(self, request: HttpRequest, obj: Campaign) -> HttpResponse | None:
        if "_review" not in request.POST or not self.has_act_permission(request, obj):
            return None
        return HttpResponseRedirect(reverse("campaign-send", args=[obj.pk]))

    def response_add(self, request: HttpRequest, obj: Campaign, post_url_continue: str | None = None) -> HttpResponse:
        return self._to_review(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Campaign) -> HttpResponse:
        return self._to_review(request, obj) or super().response_change(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        campaigns: QuerySet[Campaign] = super().get_queryset(request)
        return campaigns.select_related("template", "category", "created_by")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form of a draft, the live page of anything else. A save holds the row, so that it can't slip in behind
        a colleague's Send."""
        with transaction.atomic():
            found = self.object_or_404(request, object_id)
            if request.method == "POST":
                found = get_object_or_404(Campaign.objects.select_for_update(), pk=found.pk)
            is_draft = found.status == CampaignStatus.DRAFT
            if is_draft or (found.started_at is None and request.method != "POST"):
                form: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
                return form
        if request.method == "POST":
            messages.error(
                request, "This campaign has been submitted or started in the meantime, so nothing was changed."
            )
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[found.pk]))
        return self._live_page(request, found)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = {**(extra_context or {}), "show_save_and_add_another": False, "show_save_and_continue": False}
        if object_id is None:  # unfold offers its buttons on existing rows only
            context["actions_submit_line"] = self.get_actions_submit_line(request, None)
        return super().changeform_view(request, object_id, form_url, context)

    def _live_page(self, request: HttpRequest, campaign: Campaign) -> HttpResponse:
        if not self.has_view_or_change_permission(request, campaign):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": campaign.name,
            "original": campaign,
            "campaign": campaign,
            "facts": facts(campaign),
            "snapshot": selectors.snapshot(campaign),
            "live_url": reverse("campaign-live", args=[campaign.pk]),
            "may_act": self.has_act_permission(request, campaign),
            "people_url": self._people_url(request, campaign),
            "preview": preview(campaign, request.user),
        }
        return TemplateResponse(request, "campaigns/campaign.html", context)

    def _people_url(self, request: HttpRequest, campaign: Campaign) -> str:
        """The list of people, for who may look at recipients; empty for others."""
        may_look = request.user.has_perm("preferences.view_recipient")
        return reverse("campaign-people", args=[campaign.pk]) if may_look else ""
