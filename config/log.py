"""Structured logs: one event per line, with the request or batch id that led to it. No address, body or token.

An exception is logged with its classes and frames. Its message is left out unless it is of a kind that speaks of the
code or the network: a library's quotes the value it choked on, PostgreSQL's the row. A request is logged by its route,
since a path can hold a recipient's id, which may be an address.
"""

import logging.config
import sys
import traceback
from collections.abc import Iterator
from typing import TextIO

import structlog
from structlog.types import ExcInfo, Processor

#: Exceptions whose message names code, settings or hosts. Of OSError and the like only the first line.
_TELLING: tuple[type[BaseException], ...] = (AttributeError, ImportError, NameError, OSError)


class RouteFilter(logging.Filter):
    """Puts the route in the place of the path in what Django says of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if request is not None and isinstance(record.args, tuple):
            match = getattr(request, "resolver_match", None)
            route = f"/{match.route}" if match is not None else "(no route)"
            record.args = tuple(route if arg == _escaped(request) else arg for arg in record.args)
        return True


def _escaped(request: object) -> str:
    """The path as Django writes it into a message."""
    return str(getattr(request, "path", "")).encode("unicode_escape").decode("ascii")


def exception_text(exc_info: ExcInfo) -> str:
    """Classes and frames of an exception and of those that led to it, the innermost first."""
    return "\n".join(_lines(exc_info[1], set())).rstrip()


def _lines(error: BaseException | None, told: set[int]) -> Iterator[str]:
    if error is None or id(error) in told:
        return
    told.add(id(error))
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _lines(earlier, told)
        yield "which led to"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'
        if frame.line:
            yield f"    {frame.line}"
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    yield f"{name}: {str(error).partition(chr(10))[0]}" if isinstance(error, _TELLING) else name


def _console_exception(target: TextIO, exc_info: ExcInfo) -> None:
    target.write(f"\n{exception_text(exc_info)}")


def logging_config(*, level: str, json: bool) -> None:
    """Route structlog and the standard library through one renderer: JSON for machines, colours for people."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=_console_exception,  # the default prints local variables, addresses too
        )
    )
    final: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if json:
        final.append(structlog.processors.ExceptionRenderer(exception_text))
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [*final, renderer],
                    "foreign_pre_chain": shared,
                }
            },
            "filters": {"route": {"()": RouteFilter}},
            "handlers": {
                "console": {"class": "logging.StreamHandler", "formatter": "structured", "filters": ["route"]}
            },
            "root": {"handlers": ["console"], "level": level},
            # A refused request is the client's to know; its path can hold a recipient's id, which must not be logged.
            "loggers": {
                "django.request": {"level": "ERROR"},
                # Five lines for each failed try; messaging says once when the broker goes and when it is back.
                "pika": {"level": "CRITICAL"},
                "daphne": {"level": "WARNING"},
                "asyncio": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
