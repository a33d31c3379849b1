"""Which requests are allowed: none that another origin may have sent to control the kernel."""

import secrets
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

# Subprotocols of WebSockets from marimo's own pages (page_sockets.js): the key they send, and the answer.
PAGE_KEY = secrets.token_urlsafe(16)
PAGE_PROTOCOL = "marimo-page"

OTHER_ORIGIN = "marimo rejects requests from other origins"


def is_allowed(request: HTTPServerRequest) -> bool:
    """Whether a request cannot come from another origin that tries to control the kernel.

    The event stream is read by GET and is checked in proxy(), where its path is decoded.
    """
    is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
    if request.method in ("GET", "HEAD") and not is_upgrade:
        return True
    return is_same_origin(request) or (is_upgrade and has_page_key(request))


def is_from_elsewhere(request: HTTPServerRequest) -> bool:
    """Whether a link on another website opened this page. `none` is a bookmark or a typed address."""
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def has_page_key(request: HTTPServerRequest) -> bool:
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    return PAGE_KEY in [protocol.strip() for protocol in offered.split(",")]


def is_same_origin(request: HTTPServerRequest) -> bool:
    """Whether the request comes from marimo's own page.

    Studio starts JupyterLab with allow_origin='*', so Jupyter's own check accepts every origin.
    Sec-Fetch-Site (Fetch Metadata, W3C) is reliable even if the gateway changes `Host`. `Origin` is checked
    for browsers that do not send it. A program in the space sends neither, and authenticates to Jupyter.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    hosts = (request.headers.get("Host"), request.headers.get("X-Forwarded-Host"))
    return origin is None or urlsplit(origin).netloc in hosts
