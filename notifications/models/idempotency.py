from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from notifications.models.api_key import ApiKey


class IdempotencyRecord(models.Model):
    """The answer to a request with an `Idempotency-Key`, kept for 24 hours in the transaction that made its rows.

    Unique by (API key, key). The fingerprint covers method, path and canonical body: another body under the same key
    is a client's mistake and is told so.
    """

    id = models.BigAutoField(primary_key=True)
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status_code = models.SmallIntegerField()
    body = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["api_key", "key"], name="idempotency_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="idempotency_age")]

    def __str__(self) -> str:
        return self.key
