"""Figures as a narrow column can hold them. Pure."""

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.,:-=+#"
UNKNOWN = "?"
NOTHING = "-"


def count(number: float, *, capped: bool = False) -> str:
    """1,234, 12.3k, 4.5M; `capped`: or more."""
    more = "+" if capped else ""
    if number < 10_000:
        return f"{number:,.0f}{more}"
    for limit, divisor, unit in ((1_000_000, 1_000, "k"), (1_000_000_000, 1_000_000, "M")):
        if number < limit:
            return f"{number / divisor:.1f}{unit}{more}"
    return f"{number / 1_000_000_000:.1f}G{more}"


def rate(per_second: float) -> str:
    """0.03, 4.5, 45.1, 1,234."""
    if 0 < per_second < 1:
        return f"{max(per_second, 0.01):.2f}"
    return f"{per_second:.1f}" if per_second < 100 else count(per_second)


def duration(seconds: float | None, *, none: str = NOTHING) -> str:
    """15 ms, 1.2 s, 45 s, 3 min, 5.2 h, 12 d; None is `none`."""
    if seconds is None:
        return none
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def size(amount: float | None) -> str:
    """Bytes: 117 MB."""
    if amount is None:
        return NOTHING
    return f"{amount / 1_000_000:.0f} MB" if amount < 10**9 else f"{amount / 10**9:.1f} GB"


def bars(values: Sequence[float], *, plain: bool = False) -> str:
    """A chart of one line, its highest bar the greatest value; nothing at all is blank. `plain`: in ASCII."""
    steps = _PLAIN_BARS if plain else _BARS
    most = max(values, default=0)
    if most <= 0:
        return " " * len(values)
    return "".join(" " if value <= 0 else steps[min(7, int(value / most * 8))] for value in values)
