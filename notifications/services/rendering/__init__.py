"""Template text and data to finished content. Pure: no query, no clock, no file."""

from notifications.services.rendering.compiler import compile_content, compile_field
from notifications.services.rendering.fields import FIELDS, FieldSpec, Kind
from notifications.services.rendering.inline import normalise_inline
from notifications.services.rendering.sandbox import missing, missing_lines, variables
from notifications.services.rendering.segments import Segments, sms_segments
from notifications.services.rendering.validation import validate_template

__all__ = [
    "FIELDS",
    "FieldSpec",
    "Kind",
    "Segments",
    "compile_content",
    "compile_field",
    "missing",
    "missing_lines",
    "normalise_inline",
    "sms_segments",
    "validate_template",
    "variables",
]
