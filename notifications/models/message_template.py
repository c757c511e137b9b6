from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from preferences.choices import Purpose


class MessageTemplate(models.Model):
    """A named message. What it says stands in its versions; `published` is the one that new notifications use.

    `variables` declares what its wording may take from a notification's data: a sample value by name, as JSON. A
    wording of another name is not published.
    """

    id = models.AutoField(primary_key=True)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, default="")
    default_locale = models.CharField(max_length=35, default="en")
    purpose = models.CharField(
        max_length=16,
        choices=Purpose.choices,
        default=Purpose.TRANSACTIONAL,
        db_default=Purpose.TRANSACTIONAL,
        help_text="Marketing email is published only with a link to unsubscribe",
    )
    variables = models.JSONField(default=dict, blank=True)
    published = models.ForeignKey(
        "notifications.TemplateVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["slug"]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """One wording of a template: `content[locale][channel][field]`, Liquid text. It never changes.

    The fields of each channel are those of `notifications.services.rendering.FIELDS`. `source` says who wrote it where
    that was no user: "api:<key prefix>". `note` is what they say has changed.
    """

    id = models.AutoField(primary_key=True)
    template = models.ForeignKey(MessageTemplate, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content = models.JSONField(default=dict)
    note = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    source = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "number"], name="template_version_once"),
        ]

    def __str__(self) -> str:
        return f"v{self.number}"


class TemplatePublication(models.Model):
    """That a version was published: who and when. A version that is published again, to roll back, has several."""

    id = models.AutoField(primary_key=True)
    template = models.ForeignKey(MessageTemplate, on_delete=models.CASCADE, related_name="publications")
    version = models.ForeignKey(TemplateVersion, on_delete=models.CASCADE, related_name="publications")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    source = models.CharField(max_length=64, blank=True, default="")
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} at {self.at:%Y-%m-%d %H:%M}"
