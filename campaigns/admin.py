"""Where campaign managers live: drafts are a form in steps, a started campaign is a page that moves."""

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
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from campaigns import selectors
from campaigns.buttons import buttons, waits_for
from campaigns.forms import CampaignForm
from campaigns.history import trail
from campaigns.models import Campaign, CampaignStatus
from campaigns.preview import facts, preview
from campaigns.segments.admin import RecipientListAdmin, SegmentAdmin
from campaigns.services import DraftService
from campaigns.wizard import CONDITIONS, FIELDSETS, wizard_steps
from core.admin import BaseModelAdmin

__all__ = ["CampaignAdmin", "RecipientListAdmin", "SegmentAdmin"]

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


class ArchiveFilter(admin.SimpleListFilter):
    """What is archived is out of the way unless it is asked for."""

    title = "archive"
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Archived"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        words = [(None, "Not archived"), *self.lookup_choices]
        for value, label in words:
            query = changelist.get_query_string({self.parameter_name: value} if value else {}, [self.parameter_name])
            yield {"selected": self.value() == value, "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


@admin.register(Campaign)
class CampaignAdmin(BaseModelAdmin):
    """A draft is a form in steps; what waits for a start is a page that tells everything about it; what was started is
    a page that moves. What can be done stands on each, for whom may do it (`campaigns.buttons`)."""

    form = CampaignForm
    list_display = ("name", "state", "progress", "template", "moment", "created_by")
    list_filter = ("status", ArchiveFilter, "schedule", "category")
    list_select_related = ("template", "category", "created_by")
    search_fields = ("name",)
    ordering = ("-id",)
    sortable_by = ()
    actions = None
    actions_submit_line = ("review",)
    fieldsets = FIELDSETS
    conditional_fields: ClassVar = CONDITIONS
    change_form_outer_before_template = "campaigns/_wizard.html"
    change_form_after_template = "campaigns/_wizard_end.html"
    change_form_outer_after_template = "campaigns/_wizard_message.html"

    class Media:
        css: ClassVar = {"all": ["analytics/live.css", "campaigns/campaign.css", "campaigns/wizard.css"]}
        js = ("campaigns/plan.js", "campaigns/values.js", "campaigns/wordings.js", "campaigns/wizard.js")

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
    def moment(self, campaign: Campaign) -> str:
        if campaign.started_at is None and campaign.starts_at is not None:
            return f"due {date_format(campaign.starts_at, 'j M Y, H:i')}"
        return "–" if campaign.started_at is None else date_format(campaign.started_at, "j M Y, H:i")

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Only a draft is changed; the rest has buttons."""
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

    def save_model(self, request: HttpRequest, obj: Campaign, form: ModelForm, change: bool) -> None:
        DraftService().keep(obj, cast(CampaignForm, form).parts, by=cast(User, request.user))

    @action(  # type: ignore[untyped-decorator]  # unfold has no types
        description="Save and check", icon="fact_check", permissions=["write"], attrs={"name": "_review"}
    )
    def review(self, request: HttpRequest, obj: Campaign) -> None:
        """A button that saves, too; where it leads is `_to_check`."""

    def has_write_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Whether this user writes campaigns: who may add one may check what they added."""
        return any(request.user.has_perm(f"campaigns.{one}_campaign") for one in ("add", "change"))

    def _to_check(self, request: HttpRequest, obj: Campaign) -> HttpResponse | None:
        return HttpResponseRedirect(reverse("campaign-check", args=[obj.pk])) if "_review" in request.POST else None

    def response_add(self, request: HttpRequest, obj: Campaign, post_url_continue: str | None = None) -> HttpResponse:
        return self._to_check(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Campaign) -> HttpResponse:
        return self._to_check(request, obj) or super().response_change(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        campaigns: QuerySet[Campaign] = super().get_queryset(request)
        return campaigns.select_related("template", "category", "created_by")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form of a draft for who may change it; else the page of where it is. A save holds the row, so that it
        can't slip in behind a colleague's step."""
        with transaction.atomic():
            found = self.object_or_404(request, object_id)
            if request.method == "POST":
                found = get_object_or_404(Campaign.objects.select_for_update(), pk=found.pk)
            if self.has_change_permission(request, found):
                form: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
                return form
        if request.method == "POST" and found.status != CampaignStatus.DRAFT:
            messages.error(
                request, f"This campaign is {selectors.status_label(found).lower()} by now; nothing was changed."
            )
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[found.pk]))
        if request.method == "POST" or not self.has_view_permission(request, found):
            raise PermissionDenied
        return self.check_page(request, found) if found.started_at is None else self._live_page(request, found)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = {
            **(extra_context or {}),
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
            "steps": wizard_steps("message", object_id),
            "plan_url": reverse("campaign-draft-plan", args=[object_id or 0]),
            "edit_url": "",
        }
        if object_id is None:  # unfold offers its buttons on existing rows only
            context["actions_submit_line"] = self.get_actions_submit_line(request, None)
        return super().changeform_view(request, object_id, form_url, context)

    def check_page(self, request: HttpRequest, campaign: Campaign) -> HttpResponse:
        """All of a campaign that has not started: what will happen, what is missing, and the next step."""
        if campaign.started_at is not None:
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[campaign.pk]))
        context = {
            **self._about(request, campaign),
            "steps": wizard_steps("send" if campaign.status in (CampaignStatus.APPROVED,) else "check", campaign.pk),
            "plan_url": reverse("campaign-plan", args=[campaign.pk]),
            "edit_url": self._edit_url(request, campaign),
            "waits_for": waits_for(campaign, cast(User, request.user)),
        }
        return TemplateResponse(request, "campaigns/check.html", context)

    def _live_page(self, request: HttpRequest, campaign: Campaign) -> HttpResponse:
        context = {
            **self._about(request, campaign),
            "snapshot": selectors.snapshot(campaign),
            "live_url": reverse("campaign-live", args=[campaign.pk]),
            "people_url": self._people_url(request, campaign),
            "has_variants": campaign.variants.exists(),
        }
        return TemplateResponse(request, "campaigns/campaign.html", context)

    def _about(self, request: HttpRequest, campaign: Campaign) -> dict[str, Any]:
        """What every page of a campaign shows."""
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": campaign.name,
            "original": campaign,
            "campaign": campaign,
            "status_label": selectors.status_label(campaign),
            "facts": facts(campaign),
            "buttons": buttons(campaign, cast(User, request.user)),
            "preview": preview(campaign, request.user),
            "trail": trail(campaign),
        }

    def _edit_url(self, request: HttpRequest, campaign: Campaign) -> str | None:
        may_edit = self.has_change_permission(request, campaign)
        return reverse("admin:campaigns_campaign_change", args=[campaign.pk]) if may_edit else None

    def _people_url(self, request: HttpRequest, campaign: Campaign) -> str:
        """The list of people, for who may look at recipients; empty for others."""
        may_look = request.user.has_perm("preferences.view_recipient")
        return reverse("campaign-people", args=[campaign.pk]) if may_look else ""
