from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class MessageTemplate(models.Model):
    """A named message. What it says stands in its versions; `published` is the one that new notifications use."""

    id = models.AutoField(primary_key=True)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="")
    default_locale = models.CharField(max_length=35, default="en")
    published = models.ForeignKey(
        "notifications.TemplateVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["slug"]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """One wording of a template: `content[locale][channel][field]`, Liquid text. Immutable once published.

    The fields of each channel are those of `notifications.services.rendering.FIELDS`.
    """

    id = models.AutoField(primary_key=True)
    template = models.ForeignKey(MessageTemplate, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "number"], name="template_version_once"),
        ]

    def __str__(self) -> str:
        return f"v{self.number}"
