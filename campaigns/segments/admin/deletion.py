"""Deleting what campaigns may name: asked once, refused with a sentence while something uses it."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from campaigns.errors import InUse
from campaigns.segments.services import in_use, used_by
from core.admin import BaseModelAdmin, Question


class DeletedWhenUnused(BaseModelAdmin):
    """Django's own deletion is closed, since it knows nothing of what uses a row: `remove` is the way."""

    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_remove_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm(f"{self.opts.app_label}.delete_{self.opts.model_name}"))

    def ask_and_delete(
        self, request: HttpRequest, object_id: str, delete: Callable[[Any], None], message: str
    ) -> HttpResponse:
        """GET asks, POST deletes."""
        row = self.object_or_404(request, object_id)
        if users := used_by(row):
            messages.error(request, in_use(row, users))
            return HttpResponseRedirect(self.address(row))
        if request.method != "POST" or not request.POST.get("confirmed"):
            kind = self.opts.verbose_name
            return self.confirm(
                request,
                Question(
                    title=f"Delete “{row}”?", message=message, button=f"Delete the {kind}", back=self.address(row)
                ),
            )
        self.log_deletions(request, self.model._default_manager.filter(pk=row.pk))
        try:
            delete(row)
        except InUse as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(self.address(row))
        messages.success(request, f"“{row}” is deleted.")
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))

    def address(self, row: Any, page: str = "change") -> str:
        """The address of a row's page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=[row.pk])
