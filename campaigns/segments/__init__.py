"""Groups of people by rule or by list. `where` is what the rest of the app builds on."""

from campaigns.errors import DefinitionInvalid
from campaigns.segments.compiling import where

__all__ = ["DefinitionInvalid", "where"]
