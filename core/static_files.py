"""Static files over the wire: always compressed, whether or not somebody collected them before."""

import gzip
import re
from collections.abc import Iterator
from typing import cast

from django.http import FileResponse, HttpRequest
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

_TEXT = re.compile(r"text/|application/(javascript|json)|image/svg")
_TAKES_GZIP = re.compile(r"\bgzip\b(?!;\s*q=0(\.0*)?(\s*,|\s*$))")


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """WhiteNoise sends the copies that `collectstatic` compressed. With DEBUG or DEMO files come straight from the
    packages, and there are no copies: those are compressed here."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> FileResponse:
        response = cast(FileResponse, WhiteNoiseMiddleware.serve(static_file, request))
        if request.method != "GET" or response.status_code != 200 or "Content-Encoding" in response:
            return response
        if not _TEXT.match(response["Content-Type"]):
            return response
        response["Vary"] = "Accept-Encoding"
        if not _TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")):
            return response
        packed = gzip.compress(b"".join(cast("Iterator[bytes]", response)), mtime=0)
        response.streaming_content = (packed,)  # the file is closed with the response, as it would be anyhow
        response["Content-Encoding"] = "gzip"
        response["Content-Length"] = str(len(packed))
        return response
