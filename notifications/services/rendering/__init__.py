"""Template text and data to finished content. Pure: no query, no clock, no file."""

from notifications.services.rendering.compiler import compile_content, compile_field
from notifications.services.rendering.fields import FIELDS, FieldSpec, Kind
from notifications.services.rendering.inline import normalise_inline
from notifications.services.rendering.validation import validate_template

__all__ = [
    "FIELDS",
    "FieldSpec",
    "Kind",
    "compile_content",
    "compile_field",
    "normalise_inline",
    "validate_template",
]
