from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class ProviderSwitch(models.Model):
    """A provider that a person took out of its channel's chain; deleting the row puts it back. It stands in the record
    and not in Redis, so that an empty Redis never switches a provider on again."""

    provider = models.CharField(primary_key=True, max_length=32)
    reason = models.CharField(max_length=200, blank=True, default="")
    by = models.CharField(max_length=150)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["provider"]
        verbose_name_plural = "providers"

    def __str__(self) -> str:
        return self.provider
