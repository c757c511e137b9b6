"""Whether the counters tell the truth, and the repair should they ever not: what `manage.py counts` calls."""

from analytics.rollups.proof import Discrepancy, verify, verify_cells
from analytics.rollups.repair import CannotRebuild, rebuild

__all__ = ["CannotRebuild", "Discrepancy", "rebuild", "verify", "verify_cells"]
