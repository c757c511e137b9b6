"""The catalogue: what is published, in which wording, and how little it asks of the database."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from notifications.errors import ContentInvalid, NothingBefore, RenderError
from notifications.models import MessageTemplate, TemplatePublication, TemplateVersion
from notifications.services import templates
from notifications.services.templates import Catalogue, catalogue, locale_chain, new_version, publish, roll_back
from tests import factories

SMS = {"en": {"sms": {"body": "Hello {{ name }}"}}}


def sms(**by_locale: str) -> dict[str, Any]:
    return {locale.replace("_", "-"): {"sms": {"body": body}} for locale, body in by_locale.items()}


class TestPublished:
    def test_an_unknown_or_unpublished_template_is_none(self, db: None) -> None:
        factories.template("draft-only", published=False)

        assert catalogue.published("nothing") is None
        assert catalogue.published("draft-only") is None

    def test_the_channels_are_those_of_the_default_locale(self, db: None) -> None:
        content = {**sms(en="Hi"), "de": {"push": {"title": "t", "body": "b"}, "sms": {"body": "Hallo"}}}
        template = factories.template("hello", content)

        found = catalogue.published("hello")

        assert found is not None
        assert found.version_id == template.published_id
        assert found.channels == {"sms"}
        assert found.default_locale == "en"

    def test_many_slugs_cost_one_query_and_then_none(self, db: None, django_assert_num_queries: Any) -> None:
        for number in range(5):
            factories.template(f"t{number}", SMS)
        slugs = [f"t{number}" for number in range(5)] + ["missing"]

        with django_assert_num_queries(1):
            first = catalogue.published_many(slugs)
        with django_assert_num_queries(0):
            second = catalogue.published_many(slugs)

        assert first == second
        assert [slug for slug, found in first.items() if found is None] == ["missing"]

    def test_a_publication_elsewhere_is_seen_within_seconds(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        # Given a process that knows a template
        clock = [100.0]
        monkeypatch.setattr(templates.time, "monotonic", lambda: clock[0])
        template = factories.template("hello", SMS)
        first = catalogue.published("hello")
        # When another process publishes a new version
        other = TemplateVersion.objects.create(template=template, number=2, content=SMS)
        MessageTemplate.objects.filter(pk=template.pk).update(published=other)
        # Then it is believed for a few seconds more, and no longer
        clock[0] += templates.PUBLISHED_SECONDS - 0.1
        assert catalogue.published("hello") == first
        clock[0] += 0.2
        found = catalogue.published("hello")
        assert found is not None
        assert found.version_id == other.id

    def test_made_up_slugs_do_not_fill_the_memory(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(templates, "MAX_SLUGS", 10)
        factories.template("real", SMS)
        mine = Catalogue()

        for number in range(50):
            mine.published(f"made-up-{number}")
            assert mine.published("real") is not None

        assert len(mine._published) <= 11


class TestPinned:
    def test_a_version_that_was_published_once_can_be_pinned(
        self, transactional_db: None, django_assert_num_queries: Any
    ) -> None:
        template = factories.template("hello", SMS)
        old, draft = template.published_id, new_version(template, sms(en="New"), by=None)
        publish(new_version(template, {"en": {"push": {"title": "t", "body": "b"}}}, by=None), by=None)

        with django_assert_num_queries(1):
            found = catalogue.pinned_many([old, draft.pk, 987_654, -1, 2**40])
        with django_assert_num_queries(0):
            again = catalogue.pinned_many([old, draft.pk])

        assert again == {old: found[old], draft.pk: None}
        assert found[old].channels == {"sms"}  # type: ignore[union-attr]
        assert {id for id, one in found.items() if one is None} == {draft.pk, 987_654, -1, 2**40}

    def test_what_was_just_published_can_be_pinned_at_once(self, transactional_db: None) -> None:
        draft = new_version(factories.template("hello", SMS), sms(en="New"), by=None)
        assert catalogue.pinned_many([draft.pk]) == {draft.pk: None}

        publish(draft, by=None)

        assert catalogue.pinned_many([draft.pk])[draft.pk] is not None


class TestRender:
    @pytest.mark.parametrize(
        ("locale", "expected"),
        [
            ("pt-BR", "Oi"),
            ("pt-br", "Oi"),
            ("pt_BR", "Oi"),
            ("pt-PT", "Olá"),
            ("pt", "Olá"),
            ("zh-Hant-TW", "繁"),
            ("zh", "Hi"),
            ("fr", "Hi"),
            ("", "Hi"),
        ],
    )
    def test_the_locale_falls_back(self, db: None, locale: str, expected: str) -> None:
        content = {**sms(en="Hi", pt="Olá"), **sms(pt_BR="Oi", zh_Hant="繁")}
        version = factories.template("hello", content).published_id

        assert catalogue.render(version, "sms", locale, {}) == {"body": expected}

    def test_a_locale_without_the_channel_falls_back_for_that_channel(self, db: None) -> None:
        content = {"en": {"sms": {"body": "en"}, "push": {"title": "en", "body": "en"}}, "de": {"sms": {"body": "de"}}}
        version = factories.template("hello", content).published_id

        assert catalogue.render(version, "sms", "de", {}) == {"body": "de"}
        assert catalogue.render(version, "push", "de", {}) == {"title": "en", "body": "en"}

    def test_the_default_locale_is_the_templates_own(self, db: None) -> None:
        version = factories.template("hallo", sms(de="Hallo", en="Hello"), default_locale="de").published_id

        assert catalogue.render(version, "sms", "fr", {}) == {"body": "Hallo"}

    def test_a_batch_reads_a_version_once(self, db: None, django_assert_num_queries: Any) -> None:
        version = factories.template("hello", SMS).published_id

        with django_assert_num_queries(1):
            texts = [
                catalogue.render(version, "sms", locale, {"name": str(n)})["body"]
                for n, locale in enumerate(["en", "de", "pt-BR"] * 100)
            ]

        assert texts[299] == "Hello 299"

    def test_a_channel_the_version_says_nothing_for_is_a_render_error(self, db: None) -> None:
        version = factories.template("hello", SMS).published_id

        with pytest.raises(RenderError, match="says nothing for email"):
            catalogue.render(version, "email", "en", {})

    def test_a_version_that_is_not_there_is_a_render_error(self, db: None) -> None:
        with pytest.raises(RenderError):
            catalogue.render(987_654, "sms", "en", {})

    def test_a_broken_wording_is_a_render_error_and_compiled_once(
        self, db: None, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version = factories.template("hello", sms(en="{% if %}")).published_id
        compiled: list[str] = []
        real = templates.compile_content
        monkeypatch.setattr(templates, "compile_content", lambda *args: (compiled.append("x"), real(*args))[1])

        for _ in range(3):
            with pytest.raises(RenderError, match="body"):
                catalogue.render(version, "sms", "en", {})

        assert compiled == ["x"]

    def test_the_context_is_left_alone(self, db: None) -> None:
        version = factories.template("hello", sms(en="{% assign name = 'x' %}{{ name }}")).published_id
        context = {"name": "Ada"}

        catalogue.render(version, "sms", "en", context)

        assert context == {"name": "Ada"}


def test_the_locale_chain_names_only_what_is_there() -> None:
    available = {"en": 1, "pt": 1, "pt-BR": 1}

    assert locale_chain("pt-BR", "en", available) == ["pt-BR", "pt", "en"]
    assert locale_chain("en", "en", available) == ["en"]
    assert locale_chain("nonsense -- x", "en", available) == ["en"]
    assert locale_chain("fr", "xx", available) == []


class TestVersions:
    def test_versions_are_numbered_and_signed(self, db: None) -> None:
        author = get_user_model().objects.create_user("ada")
        template = factories.template("hello", SMS)

        draft = new_version(template, sms(en="Hi {{ name }}"), by=author)

        assert (draft.number, draft.created_by, draft.published_at) == (2, author, None)
        assert catalogue.published("hello").version_id == template.published_id  # type: ignore[union-attr]

    def test_publishing_takes_effect_at_once_in_this_process(self, transactional_db: None) -> None:
        template = factories.template("hello", SMS)
        catalogue.published("hello")
        draft = new_version(template, sms(en="New"), by=None)

        publish(draft, by=None)

        found = catalogue.published("hello")
        assert found is not None
        assert found.version_id == draft.id
        draft.refresh_from_db()
        assert draft.published_at is not None

    def test_an_undone_publication_changes_nothing(self, transactional_db: None) -> None:
        template = factories.template("hello", SMS)
        draft = new_version(template, sms(en="New"), by=None)

        with transaction.atomic():
            publish(draft, by=None)
            transaction.set_rollback(True)

        assert catalogue.published("hello").version_id == template.published_id  # type: ignore[union-attr]

    def test_an_older_version_can_be_published_again(self, transactional_db: None) -> None:
        template = factories.template("hello", SMS)
        old = template.published
        publish(new_version(template, sms(en="New"), by=None), by=None)
        first_time = old.published_at

        publish(old, by=None)

        old.refresh_from_db()
        assert catalogue.published("hello").version_id == old.id  # type: ignore[union-attr]
        assert old.published_at == first_time

    def test_who_published_what_is_kept(self, transactional_db: None) -> None:
        ada = get_user_model().objects.create_user("ada")
        template = factories.template("hello", SMS)
        draft = new_version(template, sms(en="New"), by=ada, note="Shorter")

        publish(draft, by=ada)
        publish(draft, by=ada)
        publish(template.published, by=None, source="api:3f9a")

        told = [(one.version.number, one.by, one.source) for one in TemplatePublication.objects.all()]
        assert told == [(1, None, "api:3f9a"), (2, ada, "")]
        assert draft.note == "Shorter"

    def test_rolling_back_publishes_what_was_there_before(self, transactional_db: None) -> None:
        template = factories.template("hello", published=False)
        for text in ("one", "two", "three"):
            publish(new_version(template, sms(en=text), by=None), by=None)
        template.refresh_from_db()

        back = roll_back(template, by=None)

        assert back.content == sms(en="two")
        assert catalogue.published("hello").version_id == back.pk  # type: ignore[union-attr]

    def test_rolling_back_again_goes_further_back_and_never_forward(self, transactional_db: None) -> None:
        template = factories.template("hello", published=False)
        for text in ("one", "two", "three"):
            publish(new_version(template, sms(en=text), by=None), by=None)

        went = []
        for _ in range(2):
            template.refresh_from_db()
            went.append(roll_back(template, by=None).content)
        template.refresh_from_db()

        assert went == [sms(en="two"), sms(en="one")]
        with pytest.raises(NothingBefore):
            roll_back(template, by=None)

    def test_there_is_nothing_to_roll_back_to_at_first(self, transactional_db: None) -> None:
        template = factories.template("hello", published=False)
        with pytest.raises(NothingBefore):
            roll_back(template, by=None)
        publish(new_version(template, SMS, by=None), by=None)
        template.refresh_from_db()

        with pytest.raises(NothingBefore):
            roll_back(template, by=None)

    def test_the_checks_keep_a_version_from_being_published(self, db: None) -> None:
        template = factories.template("hello", SMS, variables={"name": "Ada"}, purpose="marketing")
        draft = new_version(template, {"en": {"email": {"subject": "{{ nmae }}", "text": "x"}}}, by=None)

        with pytest.raises(ContentInvalid) as caught:
            publish(draft, by=None)

        assert {(e.pointer, e.code) for e in caught.value.errors} == {
            ("/content/en/email/subject", "unknown_variable"),
            ("/content/en/email/text", "no_unsubscribe"),
        }
        assert not TemplatePublication.objects.exists()

    def test_what_was_accepted_keeps_its_wording(self, transactional_db: None) -> None:
        template = factories.template("hello", SMS)
        before = template.published_id
        publish(new_version(template, sms(en="New"), by=None), by=None)

        assert catalogue.render(before, "sms", "en", {"name": "Ada"}) == {"body": "Hello Ada"}

    @pytest.mark.parametrize(
        ("content", "pointer"),
        [
            (sms(de="Hallo"), "/content"),
            ({"en": {}}, "/content/en"),
            (sms(en="{{ name"), "/content/en/sms/body"),
            (sms(en="{{ name | nonsense }}"), "/content/en/sms/body"),
        ],
    )
    def test_content_that_cannot_be_sent_is_not_published(self, db: None, content: Any, pointer: str) -> None:
        template = factories.template("hello", SMS)
        broken = TemplateVersion.objects.create(template=template, number=2, content=content)

        with pytest.raises(ContentInvalid) as caught:
            publish(broken, by=None)

        assert [error.pointer for error in caught.value.errors] == [pointer]
        template.refresh_from_db()
        assert template.published_id != broken.id
