"""How often a person wants to hear: by category, or of all of them."""

from collections.abc import Mapping
from datetime import time
from typing import ClassVar

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import validation
from core.api.openapi import call
from preferences.api.digest_shapes import CategoryDigest, DigestsBody, DigestSetting, DigestsShape, DigestWordBody
from preferences.api.faults import recipient_of, reported
from preferences.api.preferences import MAX_CATEGORIES
from preferences.api.scopes import RECIPIENTS_READ, RECIPIENTS_WRITE
from preferences.choices import DigestRhythm, Way
from preferences.digesting.rules import DIGEST_COLUMNS, NO_DIGEST, DigestWord, digest_rule, in_force
from preferences.digesting.wording import how_often
from preferences.digesting.words import said_by
from preferences.models import Category, Recipient
from preferences.services import MAX_BATCH, DigestChange, PreferencesService, Trace

_EXAMPLE = {
    "digests": [
        {"category": None, "rhythm": "daily", "at": "18:30"},
        {"category": "comments", "rhythm": "hourly"},
        {"category": "orders", "rhythm": "as_it_comes"},
    ]
}
_NOTHING = DigestWord(DigestRhythm.DEFAULT.value)


class DigestsView(APIView):
    required_scopes: ClassVar = {"GET": RECIPIENTS_READ, "PUT": RECIPIENTS_WRITE, "PATCH": RECIPIENTS_WRITE}

    @call("getDigests", "Read how often a recipient wants to hear", answers={200: DigestsShape})
    def get(self, request: Request, external_id: str) -> Response:
        """Every category with what holds in the end, and why."""
        return Response(_shown(recipient_of(external_id)))

    @call(
        "patchDigests",
        "Set or take back how often a recipient wants to hear",
        request=DigestsBody,
        answers={200: DigestsShape},
        examples={"All in the evening, comments hourly, orders as they come": _EXAMPLE},
    )
    def patch(self, request: Request, external_id: str) -> Response:
        """What was gathered by a rhythm that changes leaves at once."""
        changes = _changes(request)
        recipient = recipient_of(external_id)
        with reported("digests"):
            PreferencesService().set_digests(external_id, changes, Trace(Way.API))
        return Response(_shown(recipient))

    @call(
        "putDigests",
        "Replace how often a recipient wants to hear",
        request=DigestsBody,
        answers={200: DigestsShape},
        examples={"All in the evening, comments hourly, orders as they come": _EXAMPLE},
    )
    def put(self, request: Request, external_id: str) -> Response:
        """As PATCH, and words that are not given are taken back."""
        changes = _changes(request)
        with reported("digests"), transaction.atomic():
            recipient = recipient_of(external_id, held=True)
            given = {change.category_slug for change in changes}
            rows = Category.objects.filter(id__in=[id for id in said_by(recipient) if id is not None])
            gone = [slug for slug in rows.values_list("slug", flat=True) if slug not in given]
            service, trace = PreferencesService(), Trace(Way.API)
            service.set_digests(external_id, changes, trace)
            back = [DigestChange(slug, None) for slug in (*gone, *(() if None in given else (None,)))]
            for start in range(0, len(back), MAX_BATCH):
                service.set_digests(external_id, back[start : start + MAX_BATCH], trace)
        return Response(_shown(recipient))


def _changes(request: Request) -> list[DigestChange]:
    bodies = validation.read_list(request.data, "digests", DigestWordBody, at_least=0, at_most=MAX_BATCH)
    return [
        DigestChange(
            body.category,
            None if body.rhythm is None else str(body.rhythm),
            None if body.at is None else time.fromisoformat(body.at),
            body.weekday,
        )
        for body in bodies
    ]


def _shown(recipient: Recipient) -> DigestsShape:
    words = said_by(recipient)
    rows = Category.objects.order_by("slug").values_list("id", "slug", "name", "is_required", *DIGEST_COLUMNS)
    wide = words.get(None)
    return DigestsShape(
        recipient.external_id,
        _setting(wide or _NOTHING, "default" if wide is None else "all", _wide_says(wide)),
        [
            CategoryDigest(slug, name, is_required, _of_category(words, id, is_required, columns))
            for id, slug, name, is_required, *columns in rows[:MAX_CATEGORIES]
        ],
    )


def _wide_says(word: DigestWord | None) -> str:
    if word is None:
        return str(DigestRhythm.DEFAULT.label)
    return how_often(in_force(NO_DIGEST, word, is_required=False))


def _of_category(
    words: Mapping[int | None, DigestWord], category_id: int, is_required: bool, columns: list[object]
) -> DigestSetting:
    """The rule of `rule_of`, with its reason."""
    own, wide = words.get(category_id), words.get(None)
    word = own or wide
    says = how_often(in_force(digest_rule(columns), word, is_required=is_required))
    if is_required:
        return _setting(DigestWord(DigestRhythm.AS_IT_COMES.value), "required", says)
    return _setting(word or _NOTHING, "category" if own else "all" if wide else "default", says)


def _setting(word: DigestWord, source: str, says: str) -> DigestSetting:
    at = None if word.at is None else f"{word.at:%H:%M}"
    return DigestSetting(DigestRhythm(word.rhythm), at, word.weekday, source, says)
