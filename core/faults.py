"""What may be logged of an exception that nobody expected."""

import traceback

#: Frames kept: where it happened and how it got there.
FRAMES = 3


def where(error: BaseException) -> list[str]:
    """Its innermost frames as `file:line function`, without the message: a library may quote an address in it."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
