"""Who changes a message on its way out: decorators named in `settings.MESSAGE_DECORATORS`, called between rendering and
the provider.

A decorator gets a batch, so that whatever it has to look up costs one statement and not one a message. The worker calls
it with the deliveries claimed and no transaction open.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from django.db import InterfaceError, OperationalError

from core.faults import where
from notifications.services.claims import Claim

log = structlog.get_logger(__name__)

Content = Mapping[str, str]


class MessageDecorator(Protocol):
    def decorate(self, channel: str, claims: Sequence[Claim], contents: Sequence[Content]) -> Sequence[Content]:
        """The contents to send, one per claim, in order. `contents` are rendered and belong to the caller: what is to
        be different is a new mapping, everything else is handed back as it came.

        Called for live and for test traffic. OperationalError and InterfaceError say that PostgreSQL is away: the batch
        is held and no attempt is used. Any other error is a bug; the messages go out as they were rendered.
        """
        ...


def decorated(
    decorators: Sequence[MessageDecorator], channel: str, claims: Sequence[Claim], contents: Sequence[Content]
) -> Sequence[Content]:
    """What these decorators make of a batch, one after the other. A bug in one of them costs what it would have added,
    never the messages."""
    for decorator in decorators if claims else ():
        name = type(decorator).__name__
        try:
            made = decorator.decorate(channel, claims, contents)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            # Not the exception itself: it may quote the message.
            log.error("worker.decorator_crashed", decorator=name, error=type(error).__name__, at=where(error))  # noqa: TRY400 - see above
            continue
        if len(made) == len(contents):
            contents = made
        else:
            log.error("worker.decorator_miscounted", decorator=name, asked=len(contents), got=len(made))
    return contents
