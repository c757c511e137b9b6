"""Where tracked links lead."""

from django.db import models
from django.db.models.functions import Now


class TrackedLink(models.Model):
    """An address that messages lead to, once however many say it; or the origin of addresses that one message says.

    `url_hash` is the first half of its SHA-256 as a UUID: the index stays small however long the address. `used_on` is
    the last day on which a message with it went out, by which `retention` forgets it. Written by `links` alone.
    """

    id = models.BigAutoField(primary_key=True)
    url_hash = models.UUIDField(unique=True)
    url = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    used_on = models.DateField()

    def __str__(self) -> str:
        return self.url
