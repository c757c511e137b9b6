"""Pages learn of a release by what its modules are, whoever serves them."""

from pathlib import Path

from channels_app import release


def test_it_differs_when_a_module_does_and_not_when_something_else_does(tmp_path: Path) -> None:
    def of(*files: tuple[str, str]) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in files:
            (folder / name).write_text(text)
        return release.of_modules(folder)

    one = of(("a.js", "1"), ("b.js", "2"))

    assert one == of(("b.js", "2"), ("a.js", "1"), ("style.css", "3"))
    assert len({one, of(("a.js", "1")), of(("a.js", "1"), ("b.js", "3")), of(("a.js", "1"), ("c.js", "2"))}) == 4


def test_the_modules_are_where_it_looks() -> None:
    assert (release.MODULES / "carillon-inbox.js").exists()
