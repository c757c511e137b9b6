"""Which release of its modules a page should have."""

import hashlib
from functools import cache
from pathlib import Path

MODULES = Path(__file__).parent / "static" / "channels_app"


@cache
def of_modules(folder: Path = MODULES) -> str:
    """Differs when any of the modules does. Pages hear it in every hello; one that hears another than at first was
    opened before a release, and what it loads from then on may not fit what it has."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.js")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
