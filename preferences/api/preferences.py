"""What a person wants: categories by channels."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import validation
from core.api.openapi import call
from preferences.api.faults import recipient_of, reported
from preferences.api.scopes import RECIPIENTS_READ, RECIPIENTS_WRITE
from preferences.api.shapes import CategoryPreferences, ChangeBody, PreferencesBody, PreferencesShape, Setting
from preferences.choices import Channel, Purpose, Way
from preferences.models import Category, Preference, Recipient
from preferences.services import MAX_BATCH, PreferenceChange, PreferencesService, Trace, marketing

#: Rows of the matrix that are shown; an installation has dozens of categories.
MAX_CATEGORIES = 500
_EXAMPLE = {
    "preferences": [
        {"category": "offers", "channel": "sms", "enabled": False},
        {"category": None, "channel": "push", "enabled": False},
        {"category": "orders", "channel": "push", "enabled": True},
        {"marketing": True, "channel": "email", "enabled": False},
    ]
}
Words = Mapping[tuple[int | None, str], bool]


class PreferencesView(APIView):
    required_scopes: ClassVar = {"GET": RECIPIENTS_READ, "PUT": RECIPIENTS_WRITE, "PATCH": RECIPIENTS_WRITE}

    @call("getPreferences", "Read what a recipient wants", answers={200: PreferencesShape})
    def get(self, request: Request, external_id: str) -> Response:
        """Every category and channel with what holds in the end, and why."""
        return Response(_matrix(recipient_of(external_id)))

    @call(
        "patchPreferences",
        "Set or take back some words",
        request=PreferencesBody,
        answers={200: PreferencesShape},
        examples={"No offers by SMS, push only for orders": _EXAMPLE},
    )
    def patch(self, request: Request, external_id: str) -> Response:
        """In force at once: also for what was accepted before and has not left yet."""
        changes = _changes(request)
        recipient = recipient_of(external_id)
        with reported("preferences"):
            PreferencesService().set_preferences(external_id, changes, Trace(Way.API))
        return Response(_matrix(recipient))

    @call(
        "putPreferences",
        "Replace all words",
        request=PreferencesBody,
        answers={200: PreferencesShape},
        examples={"No offers by SMS, push only for orders": _EXAMPLE},
    )
    def put(self, request: Request, external_id: str) -> Response:
        """As PATCH, and words that are not given are taken back."""
        changes = _changes(request)
        with reported("preferences"), transaction.atomic():
            recipient = recipient_of(external_id, held=True)
            given = {(change.category_slug, change.channel, change.marketing) for change in changes}
            gone = [
                word for word in _spoken(recipient) if (word.category_slug, word.channel, word.marketing) not in given
            ]
            service, trace = PreferencesService(), Trace(Way.API)
            service.set_preferences(external_id, changes, trace)
            for start in range(0, len(gone), MAX_BATCH):
                service.set_preferences(external_id, gone[start : start + MAX_BATCH], trace)
        return Response(_matrix(recipient))


def _changes(request: Request) -> list[PreferenceChange]:
    bodies = validation.read_list(request.data, "preferences", ChangeBody, at_least=0, at_most=MAX_BATCH)
    return [PreferenceChange(body.category, str(body.channel), body.enabled, body.marketing) for body in bodies]


def _spoken(recipient: Recipient) -> list[PreferenceChange]:
    """Every word of the recipient, as a change that takes it back."""
    rows = Preference.objects.filter(recipient=recipient).values_list("category__slug", "channel")
    stops = [PreferenceChange(None, channel, None, marketing=True) for channel in marketing.stopped(recipient.pk)]
    return [*(PreferenceChange(slug, channel, None) for slug, channel in rows), *stops]


def _matrix(recipient: Recipient) -> PreferencesShape:
    rows = Preference.objects.filter(recipient=recipient).values_list("category_id", "channel", "enabled")
    words: Words = {(category_id, channel): enabled for category_id, channel, enabled in rows}
    stopped = marketing.stopped(recipient.pk)
    categories = Category.objects.order_by("slug")[:MAX_CATEGORIES]
    return PreferencesShape(
        recipient.external_id,
        {channel: _of_channel(words, channel) for channel in Channel.values},
        {channel: _of_marketing(words, stopped, channel) for channel in Channel.values},
        [
            CategoryPreferences(
                category.slug,
                category.name,
                category.is_required,
                {channel: _of_category(words, stopped, category, channel) for channel in Channel.values},
            )
            for category in categories
        ],
    )


def _of_channel(words: Words, channel: str) -> Setting:
    word = words.get((None, channel))
    return Setting(True, "default") if word is None else Setting(word, "channel")


def _of_marketing(words: Words, stopped: Collection[str], channel: str) -> Setting:
    return Setting(False, "marketing") if channel in stopped else _of_channel(words, channel)


def _of_category(words: Words, stopped: Collection[str], category: Category, channel: str) -> Setting:
    """The rule of `Reach.allows`, with its reason."""
    if category.is_required:
        return Setting(True, "required")
    word = words.get((category.pk, channel))
    if word is not None:
        return Setting(word, "category")
    if category.purpose == Purpose.MARKETING:
        return _of_marketing(words, stopped, channel)
    return _of_channel(words, channel)
