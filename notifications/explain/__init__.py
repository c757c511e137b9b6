"""Why somebody does or doesn't get a message: the gates of sending, asked without sending."""

from notifications.explain.dry_run import explain
from notifications.explain.past import look_back
from notifications.explain.verdicts import Check, Explanation, Fate, Past, Source, Store, Verdict, Way

__all__ = ["Check", "Explanation", "Fate", "Past", "Source", "Store", "Verdict", "Way", "explain", "look_back"]
