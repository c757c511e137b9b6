"""The pipeline's services. `notify` is what host code calls."""

from notifications.services.embedding import notify

__all__ = ["notify"]
