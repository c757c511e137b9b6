"""Reading people as acceptance does, without leaving a trace: for explaining what a message would meet."""

from collections.abc import Sequence

from preferences.services import reach
from preferences.services.reach import Reach
from preferences.services.service import PreferencesService, reach_cache
from preferences.validation import is_external_id


class LookingPreferences(PreferencesService):
    """The cache first, then PostgreSQL, as ever; but what was missing in the cache is not put there. `cached` names
    the recipients that were read from it, by external id."""

    def __init__(self) -> None:
        self.cached: frozenset[str] = frozenset()

    def reach(self, external_ids: Sequence[str]) -> dict[str, Reach]:
        wanted = [external_id for external_id in dict.fromkeys(external_ids) if is_external_id(external_id)]
        found = reach_cache.get(wanted)
        self.cached = frozenset(found)
        missing = [external_id for external_id in wanted if external_id not in found]
        found.update((one.external_id, one) for one in reach.by_external_id(missing))
        return found
