from preferences.errors import BatchRejected, Problem, ValidationProblem
from preferences.services.cache import LOOK_BACK_SECONDS
from preferences.services.categories import CategoryInfo
from preferences.services.inputs import (
    MAX_BATCH,
    UNSET,
    DigestChange,
    PreferenceChange,
    RecipientInput,
    Trace,
    UpsertResult,
)
from preferences.services.looking import LookingPreferences
from preferences.services.quiet import quiet_of
from preferences.services.reach import MAX_DEVICES, Reach
from preferences.services.service import PreferencesService

__all__ = [
    "LOOK_BACK_SECONDS",
    "MAX_BATCH",
    "MAX_DEVICES",
    "UNSET",
    "BatchRejected",
    "CategoryInfo",
    "DigestChange",
    "LookingPreferences",
    "PreferenceChange",
    "PreferencesService",
    "Problem",
    "Reach",
    "RecipientInput",
    "Trace",
    "UpsertResult",
    "ValidationProblem",
    "quiet_of",
]
