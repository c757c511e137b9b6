"""Saved lists: who is on them, pasted ids, and files."""

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from campaigns.errors import UploadRefused
from campaigns.segments.admin.deletion import DeletedWhenUnused
from campaigns.segments.admin.files import FilesShown, address_of
from campaigns.segments.admin.list_forms import MappingForm, PeopleForm, RecipientListForm, UploadForm
from campaigns.segments.lists import Changed, ListService
from campaigns.segments.models import ListUpload, RecipientList, RecipientListMember
from campaigns.segments.services import used_by
from campaigns.segments.upload_files import DELIMITERS, Look
from campaigns.segments.uploads import PART_BYTES, UploadService
from core.admin import page_action

#: Members that a list's page shows.
PAGE = 50
#: Unknown ids that a message names.
NAMED = 10


@admin.register(RecipientList)
class RecipientListAdmin(FilesShown, DeletedWhenUnused):
    form = RecipientListForm
    list_display = ("name", "size", "description", "created_by", "updated_at")
    list_select_related = ("created_by",)
    search_fields = ("name", "description")
    sortable_by = ("name", "size", "updated_at")
    actions_detail = ("people", "upload", "remove")
    list_before_template = "campaigns/segments/lists_hint.html"
    change_form_after_template = "campaigns/segments/members.html"

    class Media:
        css: ClassVar = {"all": ["campaigns/segments/lists.css"]}

    def save_model(self, request: HttpRequest, obj: RecipientList, form: forms.ModelForm, change: bool) -> None:
        given = form.cleaned_data
        if change:
            row = RecipientList.objects.get(pk=obj.pk)
            ListService().change(row, name=given["name"], description=given["description"])
        else:
            user: Any = request.user
            obj.pk = ListService().create(given["name"], given["description"], by=user).pk

    def response_add(self, request: HttpRequest, obj: RecipientList, post_url_continue: str | None = None) -> Any:
        """A new list is empty: go and put somebody on it."""
        messages.success(request, f"“{obj.name}” is there. Now put people on it.")
        return HttpResponseRedirect(self.address(obj))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id) if object_id.isdecimal() else None
        context = {**(extra_context or {}), **(self._members(request, row) if row else {})}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]  # untyped base

    def _members(self, request: HttpRequest, row: RecipientList) -> dict[str, Any]:
        """A page of members in the order of their keys, newest first, and the last files."""
        shown: dict[str, Any] = {
            **self.files_of(row),
            "users": used_by(row),
            "list_size": row.size,
        }
        if not request.user.has_perm("preferences.view_recipient"):
            return shown
        members = RecipientListMember.objects.filter(list=row).select_related("recipient").order_by("-recipient_id")
        if (after := _uuid(request.GET.get("after", ""))) is not None:
            members = members.filter(recipient_id__lt=after)
        found = list(members[: PAGE + 1])
        shown["members"] = [member.recipient for member in found[:PAGE]]
        shown["next"] = found[PAGE - 1].recipient_id if len(found) > PAGE else None
        return shown

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/file/<int:upload>/", wrap(self.file_view), name="campaigns_recipientlist_file"),
            *super().get_urls(),
        ]

    @page_action(description="Add or take off people", icon="person_add", permission="act")
    def people(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.object_or_404(request, object_id)
        form = PeopleForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            service, ids = ListService(), form.cleaned_data["ids"]
            if form.cleaned_data["what"] == "add":
                _tell(request, service.add(row.pk, ids), "put on the list", "on it already")
            else:
                _tell(request, service.remove(row.pk, ids), "taken off the list", "not on it")
            self.log_change(request, row, "Changed who is on it")
            return HttpResponseRedirect(self.address(row))
        return self._page(request, row, "people.html", f"Who is on “{row.name}”", {"form": form})

    @page_action(description="Upload a file", icon="upload_file", permission="act")
    def upload(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.object_or_404(request, object_id)
        form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
        if form.is_valid():
            user: Any = request.user
            try:
                file = form.cleaned_data["file"]
                made = UploadService().receive(row, file.name, file.chunks(PART_BYTES), by=user)
            except UploadRefused as refused:
                form.add_error("file", str(refused))
            else:
                return HttpResponseRedirect(address_of(made))
        return self._page(request, row, "upload.html", f"Upload people to “{row.name}”", {"form": form})

    def file_view(self, request: HttpRequest, pk: int, upload: int) -> HttpResponse:
        """A file: its first rows and the choice of columns, or how far it is, or what it came to."""
        row, found = self.list_and_file(request, pk, upload)
        if not UploadService().can_be_read(found):
            return self._page(request, row, "uploaded.html", found.file_name, {"upload": found})
        try:
            look = UploadService().look(found, _delimiter(request))
        except UploadRefused as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(self.address(row, "upload"))
        return self._mapping(request, row, found, look)

    def _mapping(self, request: HttpRequest, row: RecipientList, found: ListUpload, look: Look) -> HttpResponse:
        form = MappingForm(request.POST if request.method == "POST" else None, look=look)
        if form.is_valid():
            try:
                UploadService().load(found.pk, form.mapping())
            except UploadRefused as refused:
                messages.error(request, str(refused))
            else:
                self.log_change(request, row, f"Uploaded {found.file_name}")
            return HttpResponseRedirect(address_of(found))
        context = {"upload": found, "look": look, "form": form, "delimiters": DELIMITERS.items()}
        return self._page(request, row, "mapping.html", "Which column says who?", context)

    @page_action(description="Delete…", icon="delete", permission="remove")
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        message = "The people on it stay as they are; only the list goes. This can't be undone."
        return self.ask_and_delete(request, object_id, ListService().delete, message)

    def _page(
        self, request: HttpRequest, row: RecipientList, name: str, title: str, context: dict[str, Any]
    ) -> TemplateResponse:
        page = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": title,
            "back": self.address(row),
            "media": self.media,
            **context,
        }
        return TemplateResponse(request, f"campaigns/segments/{name}", page)


def _tell(request: HttpRequest, done: Changed, changed: str, unchanged: str) -> None:
    parts = [f"{done.changed:,} {'person' if done.changed == 1 else 'people'} {changed}"]
    if done.unchanged:
        parts.append(f"{done.unchanged:,} {'was' if done.unchanged == 1 else 'were'} {unchanged}")
    messages.success(request, ", ".join(parts) + ".")
    if done.unknown:
        named = ", ".join(done.unknown[:NAMED])
        more = f" and {len(done.unknown) - NAMED:,} more" if len(done.unknown) > NAMED else ""
        messages.warning(request, f"Nobody has {'this id' if len(done.unknown) == 1 else 'these ids'}: {named}{more}.")


def _delimiter(request: HttpRequest) -> str:
    """The one that was asked for; nothing to have it guessed."""
    asked = request.POST.get("delimiter") or request.GET.get("delimiter", "")
    return asked if asked in DELIMITERS else ""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
