"""How fast an error budget is used up. Pure.

An objective of 99% leaves a budget of 1%. Over a window with 14.4% of errors it burns 14.4 times as fast as it may: a
month's budget would last two days. A rule looks at two windows, as in the SRE workbook (chapter 5): the long one says
that it matters, the short one that it still goes on, so an alert opens late enough and clears soon after the end.
"""


def rate(bad_share: float, objective: float) -> float:
    """Times too fast; 1.0 uses the budget up exactly. `objective` lies between 0 and 1, ends excluded."""
    return bad_share / (1.0 - objective)


def both(long: float | None, short: float | None) -> float | None:
    """The burn of a pair of windows: the lower one, since both must be too high. None while one is unknown."""
    return None if long is None or short is None else min(long, short)
