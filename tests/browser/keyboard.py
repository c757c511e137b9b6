"""A person at a page who has nothing but a keyboard: where Tab leads, whether they see it, and in which order."""

from dataclasses import dataclass, field
from typing import Any

#: What has the focus, in a few words: the name of a field, else what stands on it. `seen`: it is in sight, and nothing
#: lies on top. `marked`: it looks otherwise than without the focus. A menu or a frame marks what is inside it itself.
_STOP = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    const box = at.getBoundingClientRect();
    const middle = [box.left + Math.min(box.width, 200) / 2, box.top + Math.min(box.height, 40) / 2];
    const top = document.elementFromPoint(...middle);
    const around = [at, at.parentElement, ...(at.labels || [])];
    const marks = ["outlineStyle", "outlineWidth", "outlineColor", "boxShadow", "borderColor", "backgroundColor",
        "textDecorationLine", "clipPath"];
    const look = () => around.map((one) => marks.map((mark) => getComputedStyle(one)[mark]).join()).join();
    const focused = look();
    let blurred = "";
    if (window.lastStop !== at) {  // a field for a moment has several stops inside, of which this would go to the first
        at.blur();
        blurred = look();
        at.focus({ preventScroll: true });
    }
    window.lastStop = at;
    const copy = at.cloneNode(true);
    for (const icon of copy.querySelectorAll(".material-symbols-outlined")) icon.remove();
    const label = at.labels && at.labels[0] ? at.labels[0].textContent : "";
    const words = at.getAttribute("aria-label") || copy.textContent.trim() || label || at.title || "";
    return {
        name: at.type !== "submit" && at.name || words.replace(/\\s+/g, " ").trim() || at.tagName,
        seen: Boolean(top) && (at.contains(top) || top.contains(at) && top.tagName !== "BODY"
            || [...(at.labels || [])].some((label) => label.contains(top))),
        marked: focused !== blurred,
        // The theme's bar of buttons stands in reverse, so that Enter in a field takes the first of them, Save.
        inside: Boolean(at.closest("main")) && !at.closest("#submit-row"),
        y: box.top + window.scrollY, x: box.left, height: box.height,
    };
}"""
_NO_FADE = "*, *::before, *::after { transition: none !important; animation: none !important }"


@dataclass
class Keyboard:
    """`faults` has a sentence for each stop that nobody could see, or that came out of turn."""

    page: Any
    faults: list[str] = field(default_factory=list)
    _last: dict[str, Any] | None = None

    def arrive(self, *, past_menu: bool = True) -> None:
        """On a page that has just opened: Tab once, to the way past the menu, and take it."""
        self.page.wait_for_load_state("networkidle")
        self.page.add_style_tag(content=_NO_FADE)
        self._last = None
        in_form = self.page.evaluate("Boolean(document.activeElement?.closest('main'))")
        if in_form or not past_menu:  # Django gives a new row's first field the focus, if its script comes early enough
            return
        self.to("Skip to the content", most=1)
        self.press("Enter")
        self._last = None

    def to(self, name: str, *, most: int = 60) -> None:
        """Tab until that has the focus, unless the page has given it that already."""
        passed = []
        if self._last is None and (self.page.evaluate(_STOP) or {}).get("name") == name:
            return
        for _ in range(most):
            self.page.keyboard.press("Tab")
            stop = self._stop()
            if stop["name"] == name:
                return
            passed.append(stop["name"])
        raise AssertionError(f"Tab did not lead to {name!r}, but to {passed}.")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, text: str) -> None:
        """Into what has the focus, or to the option that begins like this."""
        self.page.keyboard.type(text)

    def has_moved(self) -> str:
        """What has the focus after something on the page moved it; the order begins anew there."""
        self._last = None
        return str(self._stop()["name"])

    def _stop(self) -> dict[str, Any]:
        stop = self.page.evaluate(_STOP) or {"name": "nothing", "seen": True, "marked": True, "inside": False}
        if not stop["seen"]:
            self.faults.append(f"{stop['name']} is out of sight.")
        if not stop["marked"]:
            self.faults.append(f"{stop['name']} does not look as if it had the focus.")
        if self._last and self._last["inside"] and stop["inside"] and _is_back(self._last, stop):
            self.faults.append(f"{stop['name']} comes after {self._last['name']} and stands before it.")
        self._last = stop
        return dict(stop)


def _is_back(last: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether it stands above, or to the left of it in one line."""
    if now["y"] + now["height"] <= last["y"]:
        return True
    in_line = abs(now["y"] + now["height"] / 2 - last["y"] - last["height"] / 2) < 10
    return bool(in_line and now["x"] < last["x"])
