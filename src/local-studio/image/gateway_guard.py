"""Part of JupyterLab's configuration in a rehearsal: accepts only the gateway and this user's programs.

On AWS, only Studio's gateway can reach the JupyterLab of a space, so JupyterLab requires no token and accepts
all origins. Here every web page in a browser and every user of this machine can reach its port.
"""

import hmac
import os
import socket
import sys
from pathlib import Path
from typing import Any

from tornado import httputil, web

HEADER = "X-Local-Studio-Gateway"
# Browsers send at least one of these headers. Programs in the space send none.
BROWSER_HEADERS = ("Origin", "Sec-Fetch-Site")
TCP_CONNECTIONS = Path("/proc/net/tcp")


def let_in_gateway_only(token: str) -> None:
    find_handler = web.Application.find_handler

    def find_handler_if_let_in(self: Any, request: httputil.HTTPServerRequest, **rest: Any) -> Any:
        # The header is removed, so that applications in the space see the same requests as on AWS.
        given = request.headers.pop(HEADER, "")
        if not hmac.compare_digest(given.encode(), token.encode()):
            from_browser = any(name in request.headers for name in BROWSER_HEADERS)
            if from_browser or not is_own(request.connection.context.address):  # type: ignore[union-attr]
                return self.get_handler_delegate(request, web.ErrorHandler, {"status_code": 403})
        return find_handler(self, request, **rest)

    web.Application.find_handler = find_handler_if_let_in  # type: ignore[method-assign]


def is_own(peer: tuple[str, int]) -> bool:
    """Whether this user has opened the connection. Only Linux has this information; elsewhere always true."""
    if not TCP_CONNECTIONS.exists():
        return True
    address = int.from_bytes(socket.inet_aton(peer[0]), sys.byteorder)
    local = f"{address:08X}:{peer[1]:04X}"
    for line in TCP_CONNECTIONS.read_text().splitlines()[1:]:
        fields = line.split()
        # Linux, Documentation/networking/proc_net_tcp: sl, local_address, rem_address, st, …, uid.
        if fields[1] == local:
            return int(fields[7]) == os.getuid()
    return False
