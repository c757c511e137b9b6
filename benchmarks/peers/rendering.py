"""The templates of `benchmarks.dataset` in Jinja2, the fast one of the usual engines: compiled once a process."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, Template

from benchmarks.dataset import TEMPLATES

_ENVIRONMENTS = {html: Environment(autoescape=html) for html in (False, True)}


@cache
def fields(slug: str, locale: str, channel: str) -> dict[str, Template]:
    """The compiled fields of a template, in English when it has not been translated."""
    locales = TEMPLATES[slug]
    content = locales.get(locale, locales["en"])[channel]
    return {name: _ENVIRONMENTS[name == "html"].from_string(source) for name, source in content.items()}


def render(slug: str, locale: str, channel: str, context: Mapping[str, Any]) -> dict[str, str]:
    return {name: template.render(context) for name, template in fields(slug, locale, channel).items()}
