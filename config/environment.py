"""django-environ, but a value that cannot be read stops the start with a sentence that names the setting."""

import math
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_YES = frozenset({"1", "true", "yes", "on", "y", "t", "ok"})
_NO = frozenset({"", "0", "false", "no", "off", "n", "f"})


class Environment(environ.Env):
    """Strict where django-environ is silent: `DEBUG=flase` is a mistake, not a no."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        try:
            value = super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except (ValueError, TypeError) as error:
            kind = getattr(cast, "__name__", "value")
            raise ImproperlyConfigured(f"{var} cannot be read as {kind}: {error}.") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise ImproperlyConfigured(f"{var} must be a number, not {value}.")
        return value

    def bool(self, var: str, default: Any = environ.Env.NOTSET) -> bool:
        given = self.ENVIRON.get(var)
        if given is None:
            return bool(super().bool(var, default=default))
        word = given.strip().lower()
        if word not in _YES | _NO:
            raise ImproperlyConfigured(
                f"{var} is {given!r}; it must be 1 or 0 (true, false, yes, no, on and off do, too)."
            )
        return word in _YES
