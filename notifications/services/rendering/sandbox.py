"""Liquid with every limit set: manager-written text cannot read files, walk objects, hog memory or run for long.

python-liquid bounds nesting, the output and the product of nested loops. What it leaves open is bounded here: loops in
a row, chains of filters that double their input, huge ranges, expressions its lexer is quadratic in. Every render has a
budget of steps; a step is about a microsecond, so a hostile template ends in well under a second.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, cast

from liquid import BoundTemplate, Environment, RenderContext, Token, TokenStream
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.exceptions import LiquidError, UnknownFilterError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.static_analysis import Variable
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from notifications.errors import RenderError
from notifications.services.rendering.filters import FILTERS, LimitReached, size_of

#: Steps of one render: a value looked up, a filter applied (and one per 64 characters it is given), 16 characters of
#: loop body passed over.
MAX_STEPS = 200_000
#: Characters of one `{{ ... }}` or `{% ... %}`; the lexer's cost grows with the square of it.
MAX_EXPRESSION = 2_000
#: Variables that one template may assign.
MAX_LOCALS = 100
#: How far from zero the ends of a range may lie.
MAX_RANGE = 1_000

#: No include or render (other templates), tablerow, liquid, echo, increment (other spellings of what is there).
TAGS = ("content", "output", "illegal", "#", "comment", "if", "unless", "case", "assign", "capture", "cycle")
_LOOP_TAGS = ("for", "break", "continue")
_VERBATIM = re.compile(r"\{%-?\s*(end)?(raw|doc)\b")
_OPEN = re.compile(r"\{\{|\{%")
_CLOSE = re.compile(r"\}\}|%\}")


class _Context(RenderContext):
    """Names resolve in the template's own variables and the given data alone; every step is paid for."""

    __slots__ = ("loop_weight", "steps")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scope = ReadOnlyChainMap(self.locals, self.globals)  # without the library's `now` and `today`
        self.steps = MAX_STEPS
        self.loop_weight = 1

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise LimitReached("the template does too much")

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        self.spend(len(path))
        return super().get(path, token=token, default=default)

    def assign(self, key: str, val: Any) -> None:
        if len(self.locals) >= MAX_LOCALS and key not in self.locals:
            raise LimitReached(f"more than {MAX_LOCALS} variables are assigned")
        self.spend(1 + size_of(val) // 64)
        super().assign(key, val)

    def loop(self, namespace: Mapping[str, object], forloop: Any) -> Any:
        self.spend(forloop.length * self.loop_weight)
        return super().loop(namespace, forloop)

    def get_buffer(self, buf: Any = None) -> LimitedStringIO:
        limit = cast(int, self.env.output_stream_limit) - (buf.size if isinstance(buf, LimitedStringIO) else 0)
        return LimitedStringIO(limit, newline="")  # the library's default would turn carriage returns into line feeds


class _Template(BoundTemplate):
    context_class = _Context

    def _get_buffer(self) -> LimitedStringIO:
        return LimitedStringIO(cast(int, self.env.output_stream_limit), newline="")


class _ForNode(ForNode):
    """A loop that knows how much text one pass of its body walks over."""

    __slots__ = ("weight",)
    weight: int

    def render_to_output(self, context: RenderContext, buffer: Any) -> int:
        cast(_Context, context).loop_weight = self.weight
        return int(super().render_to_output(context, buffer))


class _ForTag(ForTag):
    node_class = _ForNode

    def parse(self, stream: TokenStream) -> Node:
        start = stream.current.start_index
        node = cast(_ForNode, super().parse(stream))
        node.weight = 1 + (stream.current.start_index - start) // 16
        return node


class _Bound(Expression):
    """An end of a range, kept near zero: `(1..1000000000)` would be walked or listed by some filters."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self.inner = inner

    def evaluate(self, context: RenderContext) -> object:
        value = self.inner.evaluate(context)
        try:
            number = int(cast(Any, value))
        except (TypeError, ValueError, OverflowError):
            return 0
        if abs(number) > MAX_RANGE:
            raise LimitReached(f"a range ends within {MAX_RANGE} of zero")
        return number

    def children(self) -> list[Expression]:
        return [self.inner]


class _Environment(Environment):
    template_class = _Template
    block_nesting_limit: ClassVar[int] = 20
    context_depth_limit: ClassVar[int] = 20
    loop_iteration_limit: ClassVar[int | None] = 1_000
    local_namespace_limit: ClassVar[int | None] = 512 * 1024
    output_stream_limit: ClassVar[int | None] = 512 * 1024

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=False)
        self.tags = {name: self.tags[name] for name in (*TAGS, *_LOOP_TAGS)}
        self.add_tag(_ForTag)
        self.filters = dict(FILTERS)


_ENVIRONMENTS = {html: _Environment(autoescape=html) for html in (False, True)}


def parse(source: str, *, html: bool) -> BoundTemplate:
    """The syntax tree, guarded. Raises RenderError that names the line of a mistake."""
    _refuse_long_expressions(source)
    if _VERBATIM.search(source):
        raise RenderError("the tags raw and doc are not available")
    try:
        template = _ENVIRONMENTS[html].from_string(source)
        for expression in _expressions(template.nodes):
            if isinstance(expression, RangeLiteral):
                expression.start, expression.stop = _Bound(expression.start), _Bound(expression.stop)
            elif isinstance(expression, FilteredExpression):
                _refuse_unknown_filters(expression)
    except (LiquidError, RecursionError) as error:
        raise RenderError(_mistake(error)) from error
    return template


def compile_liquid(source: str, *, html: bool) -> Callable[[Mapping[str, object]], str]:
    """Parse once, render often. Raises RenderError as `parse` does; the function raises it for a limit or bad data."""
    template = parse(source, html=html)

    def render(context: Mapping[str, object]) -> str:
        try:
            return str(template.render(context))
        except Exception as error:  # whatever one template does wrong must never be the batch's
            raise RenderError(_failure(error)) from None  # the library's messages quote the data

    return render


def variables(source: str) -> set[str]:
    """Paths of the data a template reads, such as `order.id`. Raises RenderError."""
    return {str(variable) for variable in _variables(source)}


def missing(source: str, context: Mapping[str, object]) -> set[str]:
    """Those paths that this data has nothing for: they render empty. Raises RenderError."""
    return {path for path, _ in missing_lines(source, context)}


def missing_lines(source: str, context: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """The same wherever they stand, each with its line, in the order of the text. Raises RenderError."""
    for variable in sorted(_variables(source), key=lambda variable: variable.span.index):
        if not _has(context, variable.segments):
            yield str(variable), source.count("\n", 0, variable.span.index) + 1


def _variables(source: str) -> Iterator[Variable]:
    for group in parse(source, html=False).analyze(include_partials=False).globals.values():
        yield from group


def _has(data: object, path: Iterable[object]) -> bool:
    value: Any = data
    for segment in path:
        if segment in ("size", "first", "last") or isinstance(segment, list):
            return True  # made up by Liquid, or known only when it is rendered
        if isinstance(value, Mapping) or (isinstance(value, list) and isinstance(segment, int)):
            try:
                value = cast(Any, value)[segment]
            except (KeyError, IndexError):
                return False
        else:
            return False
    return True


def _refuse_long_expressions(source: str) -> None:
    position = 0
    while match := _OPEN.search(source, position):
        start = match.end()
        closing = _CLOSE.search(source, start, start + MAX_EXPRESSION)
        if closing is None:
            line = source.count("\n", 0, start) + 1
            raise RenderError(f"line {line}: a tag is not closed within {MAX_EXPRESSION} characters")
        position = closing.end()


def _refuse_unknown_filters(expression: FilteredExpression) -> None:
    """The library would only tell when it renders."""
    for each in expression.filters or ():
        if each.name not in FILTERS:
            raise UnknownFilterError(f"there is no filter '{each.name}'", token=each.token)


def _expressions(nodes: Iterable[Node]) -> Iterator[Expression]:
    """Every expression of a tree, without recursion."""
    todo: list[Any] = list(nodes)
    while todo:
        item = todo.pop()
        if isinstance(item, Expression):
            yield item
            todo += item.children()
        else:
            todo += item.expressions()
            todo += item.children(None)


def _mistake(error: Exception) -> str:
    """What is wrong with a source, for whoever wrote it."""
    if not isinstance(error, LiquidError):
        return "the expressions are nested too deeply"
    return f"{_line(error)}{error.message}"


def _failure(error: Exception) -> str:
    """What went wrong with some data, without quoting it: this text ends in the timeline and in logs."""
    if isinstance(error, LimitReached):
        return f"{_line(error)}{error.message}"
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removeprefix("Liquid")).lower()
    line = _line(error) if isinstance(error, LiquidError) else ""
    return f"{line}{words}"


def _line(error: LiquidError) -> str:
    token = error.token
    if token is None or token.start_index < 0:
        return ""
    return f"line {token.source.count(chr(10), 0, token.start_index) + 1}: "
