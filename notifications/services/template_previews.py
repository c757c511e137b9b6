"""What a wording looks like to somebody: the finished fields of each channel, and whose words they are. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from notifications.choices import Channel
from notifications.errors import RenderError
from notifications.services.rendering import FIELDS, Segments, compile_content, missing, sms_segments
from notifications.services.template_checks.sizes import push_bytes
from notifications.services.template_variables import PREFERENCES_URL, RECIPIENT, SAMPLE_RECIPIENT, UNSUBSCRIBE_URL
from notifications.services.templates import locale_chain
from preferences.models import Recipient

#: `content[locale][channel][field]`
Content = Mapping[str, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class ChannelPreview:
    """One channel as its reader gets it, or `error`: why nobody would. `locale` is whose words it is made of, the first
    of `tried` that has any; `missing` what the data lacks. `sms` and `push_bytes` are of those channels alone."""

    channel: str
    locale: str
    tried: tuple[str, ...]
    fields: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    missing: frozenset[str] = frozenset()
    sms: Segments | None = None
    push_bytes: int | None = None

    @property
    def label(self) -> str:
        return str(Channel(self.channel).label)


def preview(
    content: Content,
    *,
    default_locale: str,
    locale: str,
    context: Mapping[str, object],
    way_out: Callable[[str], str] | None = None,
) -> list[ChannelPreview]:
    """The channels of the default locale, which are those that are sent, as a reader of `locale` gets them. `way_out`
    makes the link to unsubscribe by channel, where it is to lead somewhere."""
    chain = locale_chain(locale, default_locale, content)
    default = content.get(default_locale, {})
    channels = [channel for channel in FIELDS if default.get(channel)]
    linked = {channel: {UNSUBSCRIBE_URL: way_out(channel)} if way_out else {} for channel in channels}
    return [_channel(content, channel, chain, {**context, **linked[channel]}) for channel in channels]


def context_of(
    samples: Mapping[str, Any], *, data: Mapping[str, Any], recipient: Mapping[str, Any] | None, locale: str
) -> dict[str, Any]:
    """What a message's wording sees: the samples, over them `data`, and the recipient. Where nobody is given, it is
    whom `data` describes, or somebody made up."""
    context = {**samples, RECIPIENT: {**SAMPLE_RECIPIENT, "locale": locale}, **data}
    context[UNSUBSCRIBE_URL] = f"{settings.PUBLIC_URL}/u/sample/"
    context[PREFERENCES_URL] = f"{settings.PUBLIC_URL}/preferences/sample/"
    if recipient is not None:
        context[RECIPIENT] = recipient
    return context


def reader(external_id: str) -> dict[str, Any] | None:
    """A recipient as templates see them; None when there is no such one."""
    if "\x00" in external_id:
        return None
    fields = ("external_id", "name", "locale", "timezone", "attributes")
    row: dict[str, Any] | None = Recipient.objects.filter(external_id=external_id).values(*fields).first()
    return row


def _channel(content: Content, channel: str, chain: list[str], context: Mapping[str, object]) -> ChannelPreview:
    locale = next(name for name in chain if content[name].get(channel))
    words, tried = content[locale][channel], tuple(chain)
    lacking: set[str] = set()
    try:
        rendered = compile_content(channel, words)(context)
        for source in words.values():
            lacking |= missing(source, context)
    except RenderError as error:
        return ChannelPreview(channel, locale, tried, error=str(error))
    return ChannelPreview(
        channel,
        locale,
        tried,
        rendered,
        missing=frozenset(lacking),
        sms=sms_segments(rendered["body"]) if channel == Channel.SMS else None,
        push_bytes=push_bytes(rendered) if channel == Channel.PUSH else None,
    )
