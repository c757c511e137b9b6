"""How a preview is told in the admin: sizes in words, whose words a channel is made of, and who did what when."""

from collections.abc import Mapping
from typing import Any

from notifications.admin import looks
from notifications.choices import Channel
from notifications.models import TemplatePublication, TemplateVersion
from notifications.services.rendering import FIELDS
from notifications.services.rendering.segments import Encoding, Segments
from notifications.services.template_checks import Finding, Severity
from notifications.services.template_checks.sizes import MAX_PUSH_BYTES
from notifications.services.template_diffs import FieldDiff
from notifications.services.template_previews import ChannelPreview
from notifications.sources import names

_ALPHABETS = {Encoding.GSM7: "the GSM-7 alphabet", Encoding.UCS2: "Unicode (UCS-2)"}
_LABELS = {"html": "HTML"}


def card(shown: ChannelPreview, locale: str) -> dict[str, Any]:
    """What the frame of one channel is drawn from; `locale` is the reader's."""
    return {
        "key": f"{locale}-{shown.channel}",
        "channel": shown.channel,
        "icon": looks.ICONS[shown.channel],
        "label": shown.label,
        "error": shown.error,
        "fields": shown.fields,
        "html": shown.fields.get("html", ""),
        "icon_text": icon if (icon := shown.fields.get("icon", "")) and not icon.isascii() else "C",
        "locale": shown.locale,
        "tried": " → ".join(shown.tried),
        "falls_back": shown.locale != shown.tried[0] or shown.locale.lower() != locale.lower(),
        "size": _size(shown),
    }


def _size(shown: ChannelPreview) -> str:
    if shown.sms is not None:
        return sms_words(shown.sms)
    if shown.push_bytes is not None:
        return f"About {shown.push_bytes:,} of {MAX_PUSH_BYTES:,} bytes"
    return ""


def sms_words(size: Segments) -> str:
    alphabet, many = _ALPHABETS[size.encoding], size.segments > 1
    room = size.encoding.part * size.segments if many else size.encoding.single
    said = f"{size.units} of {room} characters in {alphabet}, {size.segments} text message{'s' if many else ''}"
    return f"{said} of at most {size.encoding.part} each" if many else said


def field_label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " ").capitalize())


def finding(found: Finding) -> dict[str, Any]:
    """One finding for the page: `key` names the input it is about ("" for none), `where` says it in words."""
    parts = found.pointer.removeprefix("/content").strip("/").split("/")
    locale, channel, name = [*parts, "", "", ""][:3]
    words = [locale, str(Channel(channel).label) if channel in FIELDS else channel, field_label(name) if name else ""]
    return {
        "key": "--".join(parts) if name in FIELDS.get(channel, ()) else "",
        "locale": locale,
        "channel": channel,
        "severity": found.severity.value,
        "blocks": found.severity is Severity.ERROR,
        "line": found.line,
        "message": found.message,
        "where": ", ".join(word for word in words if word),
    }


def who(row: TemplateVersion | TemplatePublication, sources: Mapping[str, str]) -> str:
    """Who wrote or published it; "" for what nobody wrote down."""
    user = row.created_by if isinstance(row, TemplateVersion) else row.by
    return str(user) if user else sources.get(row.source, "")


def source_names(rows: list[TemplateVersion] | list[TemplatePublication]) -> dict[str, str]:
    """The API keys behind these rows by name, in one query."""
    found = names(list({row.source for row in rows if row.source}))
    return {source: name.label for source, name in found.items()}


def place(change: FieldDiff) -> str:
    """Where a change is, in words: "de, Email, Subject"."""
    channel = str(Channel(change.channel).label) if change.channel in FIELDS else change.channel
    return f"{change.locale}, {channel}, {field_label(change.field)}"
