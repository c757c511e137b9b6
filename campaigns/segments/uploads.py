"""CSV files onto lists: received in pieces, looked at, read, and an account of what each came to.

A file is kept in the database, because whoever goes on with it may be another process on another machine. A small one
is read within the request, all or nothing; a larger one by `run_maintenance` (`reading`).
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from campaigns.errors import UploadRefused
from campaigns.segments import reading, upload_files
from campaigns.segments.lists import ListService
from campaigns.segments.models import ListUpload, ListUploadPart, ListUploadReject, RecipientList, UploadState
from campaigns.segments.upload_files import Look, Mapping

#: Bytes of a file: two million ids with a few columns beside them.
MAX_BYTES: Final = 200 * 1024 * 1024
PART_BYTES: Final = 1024 * 1024
#: A file up to so many bytes is read while its sender waits: a few thousand rows, a fraction of a second.
INLINE_BYTES: Final = 100 * 1024
#: After so long a file whose columns nobody chose is dropped, and so is one that couldn't be read, and rejected rows.
KEEP_FILES: Final = timedelta(days=1)
KEEP_REJECTS: Final = timedelta(days=30)

#: Nothing of the file is on the list yet, so it can be read from the start.
_UNREAD: Final = Q(state=UploadState.RECEIVED) | Q(state=UploadState.FAILED, position=0)
#: It is not known yet who is meant to be on the list: see `ListUpload.is_partial`.
_OPEN: Final = Q(state=UploadState.READING) | Q(state=UploadState.FAILED, position__gt=0)


class UploadService:
    """Receives files and has them read onto their list. Raises UploadRefused with a sentence."""

    def receive(
        self, list: RecipientList, name: str, pieces: Iterable[bytes], *, by: AbstractBaseUser | None
    ) -> ListUpload:
        """Keep a file. Nothing is read but its bytes, a piece of at most PART_BYTES at a time."""
        name = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\x00", "")[-200:] or "file.csv"
        with transaction.atomic():
            made = ListUpload.objects.create(list=list, file_name=name, size=0, created_by_id=by.pk if by else None)
            for number, piece in enumerate(pieces):
                made.size += len(piece)
                if made.size > MAX_BYTES:
                    raise UploadRefused(f"The file is larger than {MAX_BYTES // 1024**2} MB: split it.")
                ListUploadPart.objects.create(upload=made, number=number, content=piece)
            if not made.size:
                raise UploadRefused("The file is empty.")
            made.save(update_fields=["size"])
        return made

    def look(self, upload: ListUpload, delimiter: str = "") -> Look:
        """The first rows; see `upload_files.look`."""
        return upload_files.look(upload, delimiter)

    def load(self, upload_id: int, mapping: Mapping) -> ListUpload:
        """Put everyone whom the file names on its list: the file is read when this returns, or will be, or can't be,
        and says so. Once: a file that was read is read no second time."""
        if not mapping.is_possible():
            raise UploadRefused("Choose the column that says who is meant, and what it holds.")
        with transaction.atomic():
            upload = self._begun(upload_id, mapping)
            if upload.reader is not None:
                for _ in reading.Reading(upload).steps():
                    pass
                reading.forget()
        upload.refresh_from_db()
        return upload

    def can_be_read(self, upload: ListUpload) -> bool:
        """Whether its column can still be chosen: nothing of it was read, and its bytes are there."""
        there = ListUpload.objects.filter(_UNREAD, pk=upload.pk)
        return there.exists() and ListUploadPart.objects.filter(upload=upload).exists()

    def keep(self, upload_id: int) -> None:
        """Say that the list is right, although this file was not read to its end: campaigns may go to it again."""
        partial = ListUpload.objects.filter(pk=upload_id, state=UploadState.FAILED, position__gt=0)
        if not partial.update(state=UploadState.KEPT):
            raise UploadRefused("There is nothing to decide about this file.")

    def _begun(self, upload_id: int, mapping: Mapping) -> ListUpload:
        """From here on it is being read: by us if it is small, by the first who comes along otherwise."""
        try:
            # The list first, as everybody else who holds both.
            ListService().held(ListUpload.objects.get(pk=upload_id).list_id)
            upload = ListUpload.objects.select_for_update().get(pk=upload_id)
        except (ListUpload.DoesNotExist, RecipientList.DoesNotExist):
            raise UploadRefused("This file is gone: upload it again.") from None
        if upload.state == UploadState.READING:
            raise UploadRefused("This file is being read already.")
        if not self.can_be_read(upload):
            raise UploadRefused("This file has been read already.")
        is_ours = upload.size <= INLINE_BYTES
        ListUpload.objects.filter(pk=upload_id).update(
            state=UploadState.READING, mapping=mapping.as_json(), begun_at=Now(), finished_at=None, problem="", tries=0,
            reader=uuid4() if is_ours else None, lease_until=reading.lease() if is_ours else None,
        )  # fmt: skip
        upload.refresh_from_db()
        return upload


def unsettled(lists: Iterable[int]) -> list[ListUpload]:
    """Files of which a part is on these lists, or may be: being read, or given up halfway. Who is on them is not known
    until they are read, or until somebody says that the list is right."""
    open = ListUpload.objects.filter(_OPEN, list__in=list(lists))
    return list(open.select_related("list").order_by("id"))


def purge() -> int:
    """Drop files that nobody went on with or that couldn't be read, and rejected rows that were there for long enough;
    how many rows that were. Several may run."""
    now, dropped = timezone.now(), 0
    abandoned = ListUpload.objects.filter(state=UploadState.RECEIVED, created_at__lt=now - KEEP_FILES)
    for id in abandoned.values_list("pk", flat=True)[:100]:
        dropped += ListUpload.objects.filter(pk=id, state=UploadState.RECEIVED).delete()[0]
    failed = ListUpload.objects.filter(state=UploadState.FAILED, finished_at__lt=now - KEEP_FILES)
    dropped += ListUploadPart.objects.filter(upload__in=failed).delete()[0]
    reading.forget()
    return dropped + ListUploadReject.objects.filter(upload__finished_at__lt=now - KEEP_REJECTS).delete()[0]
