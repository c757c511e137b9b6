"""The scopes these calls ask for, in the words of the API key that must have them."""

from typing import Final

RECIPIENTS_READ: Final = "recipients:read"
RECIPIENTS_WRITE: Final = "recipients:write"
CATALOG_READ: Final = "catalog:read"
CATALOG_WRITE: Final = "catalog:write"
