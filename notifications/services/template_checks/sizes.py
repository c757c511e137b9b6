"""Checks of how much a message holds, with the sample data filled in."""

from collections.abc import Iterator

import orjson

from notifications.choices import Channel
from notifications.services.rendering import missing, sms_segments
from notifications.services.rendering.segments import Encoding, outside_gsm7
from notifications.services.template_checks.base import Fault, Inquiry, Wording

#: Bytes of a push in all: what APNs takes, and FCM of data.
MAX_PUSH_BYTES = 4_096
#: Bytes of it that are the transport's: the names of the fields, ids, options.
PUSH_ENVELOPE_BYTES = 256
#: Segments that gateways join to one text message.
MAX_SMS_SEGMENTS = 10
#: From here a text message is dear: it is billed by segment.
DEAR_SMS_SEGMENTS = 4


def push_bytes(fields: dict[str, str]) -> int:
    """How much of MAX_PUSH_BYTES a push takes."""
    return len(orjson.dumps(fields)) + PUSH_ENVELOPE_BYTES


def too_long(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    for name, text in wording.rendered.items():
        limit = wording.specs[name].max_length
        if len(text) > limit:
            said = f"{_label(name)} has {len(text):,} characters with the sample data; at most {limit:,} fit."
            yield Fault(name, "too_long", said)
    if wording.channel == Channel.PUSH and (size := push_bytes(dict(wording.rendered))) > MAX_PUSH_BYTES:
        said = f"The push takes {size:,} bytes with the sample data; phones take {MAX_PUSH_BYTES:,}. Shorten the text."
        yield Fault("body", "too_long", said)
    if wording.channel == Channel.SMS and "body" in wording.rendered:
        size_of = sms_segments(wording.rendered["body"])
        if size_of.segments > MAX_SMS_SEGMENTS:
            said = f"It takes {size_of.segments} text messages ({size_of.encoding.label}); at most {MAX_SMS_SEGMENTS}."
            yield Fault("body", "too_long", said)


def does_not_render(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    """What would fail at sending though each field is a template: empty where it may not be, or too much to do."""
    for name, source in wording.sources.items():
        if name not in wording.rendered:
            yield Fault(
                name, "render_error", f"{_label(name)} can't be filled in with the sample data: it does too much."
            )
        elif wording.specs[name].required and not wording.rendered[name] and not missing(source, inquiry.context):
            yield Fault(name, "empty", f"{_label(name)} is empty with the sample data.")


def dear_sms(inquiry: Inquiry, wording: Wording) -> Iterator[Fault]:
    if wording.channel != Channel.SMS or "body" not in wording.rendered:
        return
    text = wording.rendered["body"]
    size = sms_segments(text)
    if size.encoding is Encoding.UCS2 and (odd := outside_gsm7(text)):
        plain = sms_segments(text.translate(dict.fromkeys(map(ord, odd), "?")))
        if plain.segments < size.segments:
            said = f"{' '.join(odd[:5])} makes it {size.segments} text messages instead of {plain.segments}."
            yield Fault("body", "ucs2", said)
            return
    if size.segments >= DEAR_SMS_SEGMENTS:
        yield Fault("body", "dear", f"It takes {size.segments} text messages for each person, and each is billed.")


def _label(name: str) -> str:
    return f"The {'HTML' if name == 'html' else name}"
