"""A lock that many may share, or one have for itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Whoever asks for it alone comes next: nobody new shares it meanwhile. Not reentrant."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._alone = False
        self._asking = 0

    @contextmanager
    def held(self, *, alone: bool) -> Iterator[None]:
        """Held together with others, or alone."""
        if alone:
            self._enter_alone()
        else:
            self._enter_shared()
        try:
            yield
        finally:
            with self._changed:
                if alone:
                    self._alone = False
                else:
                    self._sharing -= 1
                self._changed.notify_all()

    def _enter_shared(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._asking)
            self._sharing += 1

    def _enter_alone(self) -> None:
        with self._changed:
            self._asking += 1
            self._changed.wait_for(lambda: not self._alone and not self._sharing)
            self._asking -= 1
            self._alone = True
