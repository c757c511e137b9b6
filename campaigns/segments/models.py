"""Groups of people that a campaign can go to: a rule that is asked anew each time, or a list that was drawn up once."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import TextChoices
from django.db.models.functions import Now
from django.utils import timezone

from preferences.models import Recipient


class Segment(models.Model):
    """People who meet conditions, whoever they are by then. `definition` is what `segments.where` compiles.

    `people`, `is_exact` and `counted_at` are the last count that somebody saw; none of them decides anything.
    """

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True, help_text="For you and your colleagues")
    description = models.CharField(max_length=300, blank=True, default="", help_text="What it is for")
    definition = models.JSONField(default=dict, blank=True)
    people = models.PositiveIntegerField(null=True, editable=False)
    is_exact = models.BooleanField(default=True, editable=False)
    counted_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class RecipientList(models.Model):
    """People chosen one by one: pasted, uploaded or added over the API. `size` moves with its members."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True, help_text="For you and your colleagues")
    description = models.CharField(max_length=300, blank=True, default="", help_text="What it is for")
    size = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "list"

    def __str__(self) -> str:
        return self.name


class RecipientListMember(models.Model):
    """One person on one list. No database constraint on the recipient: an erasure tells the lists, and a list of a
    million is not checked row by row."""

    id = models.BigAutoField(primary_key=True)
    list = models.ForeignKey(RecipientList, on_delete=models.CASCADE, db_index=False, related_name="members")
    recipient = models.ForeignKey(Recipient, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["list", "recipient"], name="recipient_list_member_once"),
        ]

    def __str__(self) -> str:
        return str(self.recipient_id)


class UploadState(TextChoices):
    RECEIVED = "received", "Waiting for its columns to be chosen"
    READING = "reading", "Being read"
    DONE = "done", "Done"
    FAILED = "failed", "Not read to its end"
    KEPT = "kept", "Not read to its end, and its list is right as it is"


class ListUpload(models.Model):
    """A CSV file for a list. Its bytes wait in `ListUploadPart` until it is read, so that any process can go on with
    it; after that only the figures and the rejected rows are left.

    records = known + unknown + duplicates + invalid. `added` of the known were not on the list before. All of these,
    and `position`, move in the transaction of the rows they count.
    """

    id = models.AutoField(primary_key=True)
    list = models.ForeignKey(RecipientList, on_delete=models.CASCADE, related_name="uploads")
    file_name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField(help_text="Bytes")
    mapping = models.JSONField(default=dict, help_text="How the file is read, and which column holds what")
    state = models.CharField(max_length=8, choices=UploadState.choices, default=UploadState.RECEIVED)
    known = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    position = models.PositiveIntegerField(default=0, help_text="Records that are done with, the heading too")
    read_bytes = models.PositiveBigIntegerField(default=0, help_text="Bytes that were read so far")
    problem = models.CharField(max_length=300, default="", help_text="Why it was not read to its end")
    reader = models.UUIDField(null=True, editable=False, help_text="Who reads it")
    lease_until = models.DateTimeField(null=True, editable=False, help_text="Then another may go on")
    tries = models.PositiveSmallIntegerField(default=0, editable=False, help_text="Since it last moved on")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    begun_at = models.DateTimeField(null=True, editable=False, help_text="When its columns were chosen")
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["list"], name="list_upload_reading", condition=models.Q(state="reading")),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def records(self) -> int:
        return self.known + self.unknown + self.duplicates + self.invalid

    @property
    def rejected(self) -> int:
        """Rows that nobody was added for, repeated ones aside."""
        return self.unknown + self.invalid

    @property
    def is_partial(self) -> bool:
        """Whether a part of it is on the list, the rest isn't, and nobody has said that this is right."""
        return self.state == UploadState.FAILED and self.position > 0

    @property
    def is_waiting(self) -> bool:
        """Whether it is to be read, and nobody is at it."""
        is_held = self.lease_until is not None and self.lease_until > timezone.now()
        return self.state == UploadState.READING and not is_held

    @property
    def percent(self) -> int:
        """How much of the file is read, by its bytes."""
        if self.state == UploadState.DONE:
            return 100
        return min(99, 100 * self.read_bytes // max(1, self.size))


class ListUploadPart(models.Model):
    """A piece of a file that waits to be read."""

    id = models.BigAutoField(primary_key=True)
    upload = models.ForeignKey(ListUpload, on_delete=models.CASCADE, db_index=False, related_name="parts")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["upload", "number"], name="list_upload_part_once"),
        ]

    def __str__(self) -> str:
        return f"{self.upload_id}/{self.number}"


class ListUploadSeen(models.Model):
    """What an earlier batch of a file named already, as a hash: a value of a file counts once, whoever goes on with it.

    Rows of a file that is not being read any more mean nothing; maintenance deletes them some at a time, so that
    nothing that ends a file, and no deletion of a list, waits for a million of them. Hence no constraint.
    """

    pk = models.CompositePrimaryKey("upload", "value")
    upload = models.ForeignKey(ListUpload, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    value = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.upload_id}/{self.value}"


class ListUploadReject(models.Model):
    """A row of a file that nobody was added for, and why."""

    id = models.BigAutoField(primary_key=True)
    upload = models.ForeignKey(ListUpload, on_delete=models.CASCADE, db_index=False, related_name="rejects")
    line = models.PositiveIntegerField()
    reason = models.CharField(max_length=200)
    cells = ArrayField(models.TextField())

    class Meta:
        indexes: ClassVar = [models.Index(fields=["upload", "id"], name="list_upload_reject")]

    def __str__(self) -> str:
        return f"{self.line}: {self.reason}"
