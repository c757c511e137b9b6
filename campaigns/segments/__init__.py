"""Groups of people by rule or by list. `where` is what the rest of the app builds on."""

from campaigns.errors import DefinitionInvalid
from campaigns.segments.compiling import where
from campaigns.segments.conditions import WORK_MEM
from campaigns.segments.estimating import Estimate, estimate, sample

__all__ = ["WORK_MEM", "DefinitionInvalid", "Estimate", "estimate", "sample", "where"]
