"""API keys: made here, shown once, revoked here."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from core.admin import BaseModelAdmin, Question, page_action
from notifications.admin import looks
from notifications.models import ApiKey
from notifications.models.api_key import KeyMode, Scope
from notifications.services import api_keys


class ApiKeyForm(forms.ModelForm):
    """A key to be: its name, what it may do, and for how long."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, initial=list(Scope.values), widget=UnfoldAdminCheckboxSelectMultipleWidget
    )

    class Meta:
        model = ApiKey
        fields: ClassVar = ["name", "mode", "scopes", "expires_at"]

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError("This is in the past: the key could never be used.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(BaseModelAdmin):
    """Keys are not deleted but revoked, so that what they sent can still be told apart."""

    list_display = ("name", "prefix", "kind", "state", "last_used", "created_at")
    list_filter = ("mode",)
    search_fields = ("name", "prefix")
    actions_detail = ("revoke",)

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = ApiKeyForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Sequence[str]:
        if obj is None:
            return ("name", "mode", "scopes", "expires_at")
        return (
            "name",
            "prefix",
            "mode",
            "owner",
            "may",
            "state",
            "created_at",
            "last_used_at",
            "expires_at",
            "revoked_at",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Sequence[str]:
        return () if obj is None else tuple(field for field in self.get_fields(request, obj) if field != "name")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description="Mode")
    def kind(self, key: ApiKey) -> str:
        return looks.badge(key.mode, "blue" if key.mode == KeyMode.TEST else "teal")

    @admin.display(description="State")
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return looks.badge("revoked", "red")
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return looks.badge("expired", "sand")
        return looks.badge("in force", "green")

    @admin.display(description="Last used")
    def last_used(self, key: ApiKey) -> str:
        return looks.moment(key.last_used_at) if key.last_used_at else "never"

    @admin.display(description="May")
    def may(self, key: ApiKey) -> str:
        return ", ".join(str(Scope(scope).label) for scope in key.scopes if scope in Scope.values)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "show_save_and_continue": False, "show_save_and_add_another": False}
        return super().add_view(request, form_url, context)  # type: ignore[no-any-return]  # untyped base

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        data = form.cleaned_data
        mode = KeyMode(data["mode"])
        # Its maker's, so that nobody makes a key that acts as somebody else.
        key, secret = api_keys.issue(data["name"], mode, data["scopes"], data["expires_at"], cast(User, request.user))
        obj.pk, obj.prefix = key.pk, key.prefix
        # Lives as long as this request: response_add shows it, and nothing else knows it.
        request.issued_secret = secret  # type: ignore[attr-defined]  # ours

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The answer to the form is the page with the secret: it is in no URL, no session and no later page."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "API key made",
            "key": obj,
            "secret": request.issued_secret,  # type: ignore[attr-defined]  # set by save_model
        }
        response = TemplateResponse(request, "admin/notifications/apikey/issued.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @page_action(description="Revoke…", icon="block", permission="act")
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.object_or_404(request, object_id)
        page = reverse("admin:notifications_apikey_change", args=[key.pk])
        if request.method == "POST" and request.POST.get("confirmed"):
            api_keys.revoke(key)
            self.log_change(request, key, "Revoked")
            messages.success(request, f"{key.name} is refused from now on.")
            return redirect(page)
        question = Question(
            title=f"Revoke {key.name}?",
            message="Whoever uses this key is refused at once. This cannot be undone; make a new key instead.",
            button="Revoke",
            back=page,
        )
        return self.confirm(request, question)
