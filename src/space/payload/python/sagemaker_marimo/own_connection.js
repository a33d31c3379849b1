// Reports a page that does not open its event stream by window.fetch, as a newer marimo may do. Such a page has its own
// connection, as in stock marimo. proxy.py logs that, and answers with a notice for the page.
// biome-ignore lint/correctness/noUnusedVariables: event_stream.js uses it, which proxy.py puts into the same script.
const ownConnection = (() => {
  const fetch = window.fetch;
  const openingTime = 30000; // marimo's page opens its stream as soon as its scripts have run
  let isOurs = false;

  async function check() {
    // Not marimo's home page, nor an answer such as "file not found".
    const isNotebook = new URLSearchParams(location.search).has("file");
    if (isOurs || !isNotebook || !document.querySelector("marimo-server-token")) return;
    const answer = await fetch(new URL("sse", location.href), { method: "POST" });
    if (answer.ok) document.body.insertAdjacentHTML("beforeend", await answer.text());
  }
  addEventListener("load", () => setTimeout(check, openingTime));

  return {
    /** The page has opened its stream by the `fetch` of event_stream.js. */
    isReplaced: () => {
      isOurs = true;
    },
  };
})();
