"""An email's style sheet, written into the elements it is about: many mail readers know no other kind."""

import css_inline

from notifications.errors import RenderError

_STYLE = "<style"
#: What cannot be written into an element (media queries, :hover) stays a style sheet. Nothing is fetched or read: a
#: template must not make this machine ask others, or open its files.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True, remove_inlined_selectors=True)


def has_styles(html: str) -> bool:
    return _STYLE in html.lower()


def inline_styles(html: str) -> str:
    """The same mail with its rules in `style` attributes; untouched where it brings none. Raises RenderError."""
    if not has_styles(html):
        return html
    try:
        return _INLINER.inline(html)
    except css_inline.InlineError as error:
        raise RenderError("the style sheet could not be read") from error
