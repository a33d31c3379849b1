// Inserted into marimo's page before marimo's own code. It replaces `WebSocket` for marimo's own sockets, which are its
// terminal and its language servers.
//
// Chromium does not send Sec-Fetch-Site with a WebSocket's handshake, and a gateway may change Host so that it differs
// from Origin. The page therefore sends a key that pages of other origins do not have. The key is a subprotocol,
// because a handshake has no custom headers and a gateway may drop its query.
//
// If no WebSocket gets through, the terminal says so; marimo (0.25.2) would close it without a message. A language
// server that ends at once is restarted less and less often; marimo would retry ten times a second, for example
// if Copilot is set up but the image has no Node.js.
//
// A gateway may drop the query, which has the terminal's size. The page also sends the size at once, but marimo's shell
// sets the query's or 80 columns when it starts, which can be later. So the size is sent again after the first output.
(() => {
  const { key } = document.currentScript.dataset;
  const early = 5000; // if a socket closes this soon, the next one would too
  const terminalMessage = [
    "marimo's terminal needs a WebSocket, but a gateway between this page and the space closed it at once.",
    "Use JupyterLab's terminal (File > New > Terminal), or add packages in marimo's package panel.",
    "To try again, reload the page.",
  ];

  let ended = 0; // consecutive language servers that ended at once

  window.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      const { host, pathname } = new URL(url, location.href);
      const isOurs = host === location.host && /\/marimo\/(lsp|terminal)\//.test(pathname);
      super(url, isOurs ? ["marimo-page", key] : protocols);
      if (!isOurs) return;
      const isTerminal = pathname.endsWith("/marimo/terminal/ws");
      if (isTerminal)
        this.addEventListener("message", () => this.size && super.send(this.size), { once: true });
      const began = Date.now();
      let passes = false;
      // Added before marimo's own listeners, so it is called first. `exit` in the shell closes the socket cleanly.
      const listener = (event) => {
        passes ||= Date.now() - began > early || (isTerminal && event.wasClean);
        if (passes) return;
        event.stopImmediatePropagation();
        if (event.type !== "close") return;
        passes = true;
        if (isTerminal) {
          this.dispatchEvent(new MessageEvent("message", { data: `${terminalMessage.join("\r\n")}\r\n` }));
          // Ignores further keystrokes; otherwise each would raise an error.
          this.dispatchEvent(new Event("error"));
        } else {
          const pause = Math.min(60000, 1000 * 2 ** ended++);
          setTimeout(() => this.dispatchEvent(new CloseEvent("close", event)), pause);
        }
      };
      this.addEventListener("error", listener);
      this.addEventListener("close", listener);
      setTimeout(() => {
        if (!isTerminal && this.readyState === WebSocket.OPEN) ended = 0;
      }, early);
    }

    send(data) {
      if (String(data).startsWith('{"type":"resize"')) this.size = data;
      super.send(data);
    }
  };
})();
