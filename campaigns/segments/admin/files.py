"""The files of a list as its pages show them: how far they are, what they came to, and the rows that were rejected."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from campaigns.errors import UploadRefused
from campaigns.exporting import csv_lines
from campaigns.segments.models import ListUpload, ListUploadReject, RecipientList, UploadState
from campaigns.segments.uploads import UploadService
from core.admin import BaseModelAdmin
from preferences.importing.rejects import safe_cell

#: Files that a page shows.
PAGE = 50
#: Seconds between two looks of a page at files that are being read.
EVERY = 2


class FilesShown(BaseModelAdmin):
    """The views about files that have nothing to choose any more. Those that move are parts of pages, asked for again
    and again until nothing is being read."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        name = "campaigns_recipientlist"
        return [
            path("reading/", wrap(self.reading), name=f"{name}_reading"),
            path("<int:pk>/files/", wrap(self.files), name=f"{name}_files"),
            path("<int:pk>/file/<int:upload>/state/", wrap(self.file_state), name=f"{name}_file_state"),
            path("<int:pk>/file/<int:upload>/rejected/", wrap(self.rejected), name=f"{name}_rejected"),
            path("<int:pk>/file/<int:upload>/keep/", wrap(require_POST(self.keep)), name=f"{name}_keep"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {**(extra_context or {}), **self._all_reading()}
        return super().changelist_view(request, context)  # type: ignore[no-any-return]  # untyped base

    def reading(self, request: HttpRequest) -> HttpResponse:
        """What is being read onto any list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return _part(request, "reading.html", self._all_reading())

    def files(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The files of one list."""
        row = self.object_or_404(request, str(pk))
        return _part(request, "files.html", {"original": row, **self.files_of(row)})

    def file_state(self, request: HttpRequest, pk: int, upload: int) -> HttpResponse:
        """One file."""
        row, found = self.list_and_file(request, pk, upload)
        context = {"original": row, "upload": found, "back": reverse(f"admin:{_CHANGE}", args=[row.pk])}
        return _part(request, "file_state.html", context)

    def rejected(self, request: HttpRequest, pk: int, upload: int) -> HttpResponse | StreamingHttpResponse:
        """The rows nobody was added for, as a CSV file that a spreadsheet opens without running anything."""
        _, found = self.list_and_file(request, pk, upload)
        answer = StreamingHttpResponse(_rejects(found), content_type="text/csv; charset=utf-8")
        answer.headers["Content-Disposition"] = f'attachment; filename="rejected-{found.pk}.csv"'
        return answer

    def keep(self, request: HttpRequest, pk: int, upload: int) -> HttpResponse:
        """Take the list as it is, with a part of this file."""
        row, found = self.list_and_file(request, pk, upload)
        try:
            UploadService().keep(found.pk)
        except UploadRefused as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"“{row.name}” counts as it is now. Campaigns may go to it.")
            self.log_change(request, row, f"Kept it with a part of {found.file_name}")
        return HttpResponseRedirect(address_of(found))

    def files_of(self, row: RecipientList) -> dict[str, Any]:
        """The last files of a list, for `files.html`."""
        uploads = list(ListUpload.objects.filter(list=row).select_related("created_by")[:PAGE])
        return {"uploads": uploads, "list_size": row.size, "every": EVERY, "moves": any(map(_moves, uploads))}

    def list_and_file(self, request: HttpRequest, pk: int, upload: int) -> tuple[RecipientList, ListUpload]:
        """Both, for those who may change the list. Raises Http404 or PermissionDenied."""
        row = self.object_or_404(request, str(pk))
        if not self.has_act_permission(request, row):
            raise PermissionDenied
        found = ListUpload.objects.filter(list=row, pk=min(upload, 2**31 - 1)).first()
        if found is None:
            raise Http404("There is no such file.")
        return row, found

    def _all_reading(self) -> dict[str, Any]:
        uploads = ListUpload.objects.filter(state=UploadState.READING).select_related("list").order_by("id")[:PAGE]
        return {"reading": list(uploads), "every": EVERY}


_CHANGE = "campaigns_recipientlist_change"


def address_of(upload: ListUpload) -> str:
    """The address of a file's page."""
    return reverse("admin:campaigns_recipientlist_file", args=[upload.list_id, upload.pk])


def _moves(upload: ListUpload) -> bool:
    return upload.state == UploadState.READING


def _part(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    answer = TemplateResponse(request, f"campaigns/segments/{name}", context)
    answer["Cache-Control"] = "no-store"
    return answer


def _rejects(upload: ListUpload) -> Iterator[bytes]:
    """UTF-8 with the mark by which Excel knows it. A row is its line, the reason, and its cells as they were."""
    yield b"\xef\xbb\xbf" + csv_lines([("line", "reason", "row")])
    rows = ListUploadReject.objects.filter(upload=upload).order_by("id")
    for row in rows.values_list("line", "reason", "cells").iterator(chunk_size=1000):
        yield csv_lines([(str(row[0]), row[1], *map(safe_cell, row[2]))])
