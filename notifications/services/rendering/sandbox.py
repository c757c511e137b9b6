"""Liquid with every limit set: manager-written text cannot read files, walk objects, hog memory or run for long."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from liquid import Environment
from liquid.exceptions import LiquidError

from notifications.errors import RenderError


class _Sandbox(Environment):
    block_nesting_limit: ClassVar[int] = 20
    context_depth_limit: ClassVar[int] = 20
    loop_iteration_limit: ClassVar[int] = 1_000
    local_namespace_limit: ClassVar[int] = 256 * 1024
    output_stream_limit: ClassVar[int] = 512 * 1024


def _environment(*, html: bool) -> Environment:
    environment = _Sandbox(autoescape=html)
    for tag in ("include", "render"):
        del environment.tags[tag]
    return environment


_ENVIRONMENTS = {html: _environment(html=html) for html in (False, True)}


def compile_liquid(source: str, *, html: bool) -> Callable[[Mapping[str, object]], str]:
    """Parse once. Raises RenderError with the line of a mistake; the function raises it for a limit or bad data."""
    try:
        template = _ENVIRONMENTS[html].from_string(source)
    except (LiquidError, RecursionError) as error:
        raise RenderError(str(error)) from error

    def render(context: Mapping[str, object]) -> str:
        try:
            return str(template.render(context))
        except Exception as error:  # a template's mistake must never be the batch's
            raise RenderError(f"{type(error).__name__}: {error}") from error

    return render
