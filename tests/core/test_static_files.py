"""Static files are compressed, collected or not."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from core.static_files import StaticFilesMiddleware

SCRIPT = "console.log('inbox');\n" * 100


@pytest.fixture
def get(settings: Any, tmp_path: Path) -> Any:
    (tmp_path / "a.js").write_text(SCRIPT)
    (tmp_path / "a.png").write_bytes(b"\x89PNG" * 100)
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_USE_FINDERS = False

    def ask(path: str = "a.js", *, method: str = "get", **headers: str) -> Any:
        middleware = StaticFilesMiddleware(lambda request: HttpResponse(status=404))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return middleware(getattr(RequestFactory(), method)(f"/static/{path}", headers=named))

    return ask


def body(answer: Any) -> bytes:
    return b"".join(answer)


def test_what_nobody_compressed_is_compressed_on_its_way(get: Any) -> None:
    answer = get(Accept_Encoding="br, gzip")

    packed = body(answer)
    assert answer["Content-Encoding"] == "gzip"
    assert answer["Content-Length"] == str(len(packed))
    assert answer["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed).decode() == SCRIPT


def test_a_copy_that_was_compressed_before_is_sent_as_it_is(get: Any, tmp_path: Path) -> None:
    copy = gzip.compress(SCRIPT.encode(), compresslevel=1)
    (tmp_path / "a.js.gz").write_bytes(copy)

    assert body(get(Accept_Encoding="gzip")) == copy


@pytest.mark.parametrize("accepts", ["", "br", "gzip;q=0", "gzip; q=0.0, br"])
def test_who_takes_no_gzip_gets_none(get: Any, accepts: str) -> None:
    answer = get(Accept_Encoding=accepts)

    assert "Content-Encoding" not in answer
    assert answer["Vary"] == "Accept-Encoding"
    assert body(answer).decode() == SCRIPT


def test_an_image_is_left_alone(get: Any) -> None:
    assert "Content-Encoding" not in get("a.png", Accept_Encoding="gzip")


def test_a_part_of_a_file_and_its_headers_alone_are_left_alone(get: Any) -> None:
    assert body(get(Accept_Encoding="gzip", Range="bytes=0-6")) == b"console"
    assert body(get(Accept_Encoding="gzip", method="head")) == b""


def test_what_has_not_changed_is_not_sent_again(get: Any) -> None:
    tag = get(Accept_Encoding="gzip")["ETag"]

    answer = get(Accept_Encoding="gzip", If_None_Match=tag)

    assert (answer.status_code, body(answer)) == (304, b"")
