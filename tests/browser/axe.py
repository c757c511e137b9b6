"""What axe-core finds wrong with a page: its accessibility, as far as a program can tell."""

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

#: What fades in has its colours when it has arrived; what moves for ever is not waited for. A fade begins with the next
#: frame, and a document does not tell of those in its shadow roots.
_SETTLED = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    await frame();
    const inside = (element) => element.shadowRoot ? roots(element.shadowRoot) : [];
    const roots = (root) => [root, ...[...root.querySelectorAll("*")].flatMap(inside)];
    const ends = roots(document).flatMap((root) => root.getAnimations())
        .filter((a) => a.effect?.getComputedTiming().iterations !== Infinity);
    await Promise.allSettled(ends.map((a) => a.finished));
    await frame();
}"""


def violations(page: Any, within: str = "") -> list[str]:
    """Each broken rule with the elements that break it, one sentence each; [] when axe-core has nothing to say.

    `within` is a CSS selector of the part to look at: the whole page when left out. Shadow roots are looked into. The
    script comes by the debugger's way in, which no content policy concerns, so the page is judged under its own. All
    rules that axe-core runs by itself apply: WCAG 2.0 to 2.2, A and AA, and its best practices.
    """
    page.evaluate(_SETTLED)
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("(within) => axe.run(within || document, {resultTypes: ['violations']})", within)
    return [_sentence(rule) for rule in found["violations"]]


def _sentence(rule: dict[str, Any]) -> str:
    where = "; ".join(f"{_path(node['target'])}: {_why(node)}" for node in rule["nodes"])
    return f"{rule['id']} ({rule['impact']}): {rule['help']}: {where}"


def _path(target: list[Any]) -> str:
    return " ".join(" >>> ".join(step) if isinstance(step, list) else step for step in target)


def _why(node: dict[str, Any]) -> str:
    return " ".join(node["failureSummary"].split())
