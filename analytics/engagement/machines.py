"""Who is a program: pure, from what a request says of itself. What shows only beside other hits, the DeliveryTracker
sees: too soon after sending, several links at once.

Left to people are the image proxies of Gmail and Yahoo: they fetch an image when its mail is opened, and only hide
where the reader is. Apple's Mail Privacy Protection fetches whether or not anybody reads, so what comes from there
says nothing. No address of the network is looked at or kept.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from notifications.choices import MachineKind


class Visit(NamedTuple):
    """A request for a link or a pixel: its method, and its headers by lower-case name."""

    method: str
    headers: Mapping[str, str]


#: Headers in which browsers and proxies say that nobody asked yet, and the words that say it (Sec-Purpose: Fetch
#: Metadata; Purpose and X-Purpose: WebKit, Chromium before; X-Moz: Firefox before).
PREFETCH_HEADERS: Mapping[str, tuple[str, ...]] = {
    "sec-purpose": ("prefetch", "prerender", "preview"),
    "purpose": ("prefetch", "preview"),
    "x-purpose": ("preview", "instant"),
    "x-moz": ("prefetch",),
}
#: The whole User-Agent of Apple's proxies, which browsers never send so short; and what Gmail fetches ahead with.
PRIVACY_AGENTS = frozenset(
    {
        "mozilla/5.0",
        "mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) chrome/42.0.2311.135"
        " safari/537.36 edge/12.246 mozilla/5.0",
    }
)
#: Words of User-Agents, in lower case, asked in this order: the narrower kind first. No word that a browser has, such
#: as those of the browsers that makers of scanners and of networks bring along.
AGENTS: Mapping[MachineKind, tuple[str, ...]] = {
    MachineKind.SCANNER: (
        "barracuda", "mimecast", "proofpoint", "urldefense", "ciscosecure", "ironport", "fortimail", "fortinet",
        "sophos", "symantec", "messagelabs", "trendmicro", "fireeye", "trellix", "zscaler", "checkpoint", "forcepoint",
        "vadesecure", "bitdefender", "kaspersky", "f-secure", "withsecure", "netcraft", "virustotal", "urlscan",
        "safebrowsing", "ms-office", "msoffice", "microsoft office", "existence discovery",
    ),
    MachineKind.PREVIEW: (
        "facebookexternalhit", "facebot", "twitterbot", "slackbot", "slack-imgproxy", "whatsapp/", "telegrambot",
        "discordbot", "skypeuripreview", "linkedinbot", "microsoftpreview", "bingpreview", "vkshare", "redditbot",
        "iframely", "embedly", "applebot", "google-pagerenderer", "mattermost", "rocket.chat", "urlpreview",
        "snap url preview",
    ),
    MachineKind.BOT: (
        "crawler", "spider", "slurp", "curl/", "wget/", "python-requests", "python-urllib", "python/", "aiohttp",
        "httpx", "go-http-client", "java/", "libwww-perl", "lwp::", "apache-httpclient", "node-fetch", "axios/",
        "undici", "scrapy", "headless", "phantomjs", "puppeteer", "playwright", "selenium", "uptime", "pingdom",
        "statuscake", "lighthouse", "postmanruntime", "guzzle", "perl/", "php/",
    ),
}  # fmt: skip
#: "bot" as the end of a word, and not of the telephones called Cubot.
_BOT = re.compile(r"(?<!cu)bot(?![a-z])")
_KINDS = tuple(AGENTS.items())


def machine(visit: Visit) -> str:
    """The MachineKind of a visit; empty for a person's."""
    if visit.method == "HEAD":
        return MachineKind.HEAD.value
    headers = visit.headers
    for name, words in PREFETCH_HEADERS.items():
        if (said := headers.get(name, "").lower()) and any(word in said for word in words):
            return MachineKind.PREFETCH.value
    agent = headers.get("user-agent", "").strip().lower()
    if not agent or agent == "-":
        return MachineKind.NO_AGENT.value
    if agent in PRIVACY_AGENTS:
        return MachineKind.PRIVACY_PROXY.value
    for kind, words in _KINDS:
        if any(word in agent for word in words):
            return kind.value
    return MachineKind.BOT.value if _BOT.search(agent) else ""
