// In marimo's page ahead of marimo's own code: stands in for `WebSocket` for marimo's own ones, which are its terminal
// and its language servers.
//
// Chromium does not say where a WebSocket's handshake comes from (Fetch Metadata), and a gateway may put another Host
// beside its Origin, so the page shows a key that no other origin's page has: as a subprotocol, since a handshake takes
// no headers and its query may be dropped on the way.
//
// Where no WebSocket gets through, the terminal says so; marimo (0.25.2) would fold it away without a word. A language
// server that ends at once is tried less and less often; marimo would try again ten times a second, for instance with
// Copilot set up and no Node.js in the image.
(() => {
  const { key } = document.currentScript.dataset;
  const early = 5000; // closed this soon, the next one would be too
  const told = [
    "marimo's terminal needs a WebSocket, and what is between this page and the space closed it at once.",
    "JupyterLab's own terminal works (File > New > Terminal); marimo's package panel adds packages.",
    "Reload the page to try again.",
  ];

  let ended = 0; // language servers, in a row

  window.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      const { host, pathname } = new URL(url, location.href);
      const isOurs = host === location.host && /\/marimo\/(lsp|terminal)\//.test(pathname);
      super(url, isOurs ? ["marimo-page", key] : protocols);
      if (!isOurs) return;
      const isTerminal = pathname.endsWith("/marimo/terminal/ws");
      const began = Date.now();
      let passes = false;
      // Added before marimo's own listeners, so it comes first. `exit` in the shell is a clean close.
      const listener = (event) => {
        passes ||= Date.now() - began > early || (isTerminal && event.wasClean);
        if (passes) return;
        event.stopImmediatePropagation();
        if (event.type !== "close") return;
        passes = true;
        if (isTerminal) {
          this.dispatchEvent(new MessageEvent("message", { data: `${told.join("\r\n")}\r\n` }));
          // Keys that are typed from now on go nowhere instead of raising an error each.
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
  };
})();
