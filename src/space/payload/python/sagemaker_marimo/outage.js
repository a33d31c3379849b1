// What marimo's page says and does while the connection to its space is interrupted. event_stream.js reports to it. The
// page keeps what the user types, sends it when the connection is back, and reloads itself if it has missed events.
// biome-ignore lint/correctness/noUnusedVariables: event_stream.js uses it, which proxy.py puts into the same script.
const outage = (() => {
  const fetch = window.fetch;
  const showAfter = 5000;
  const longestSave = 60000; // after a restart: then the user is asked to save
  const quiet = 3000; // without requests that carry the user's edits: then a reload loses none
  const edits = /\/api\/(kernel\/save|document\/transaction)$/;
  const values = /\/api\/kernel\/set_(ui_element|model)_value$/;
  const run = /\/api\/kernel\/run$/;
  const saves = /\/api\/kernel\/save(_app_config)?$/;
  const tokenHeader = "Marimo-Server-Token";
  const pageTime = 20000; // for marimo's page: proxy.py answers within two seconds, also while marimo starts
  const hanging = 9000; // a request that has no answer by then does not delay others any longer
  const sleep = (time) => new Promise((done) => setTimeout(done, time));

  let since = 0; // 0: there is no outage
  let status = 0;
  let timer;
  let restore = () => {};
  let restored = Promise.resolve();
  let hasMissedEvents = false;
  let wasUnsaved = false;
  let underway = 0; // requests with the user's values and edits, also those that wait for their turn
  let lastEdit = 0;
  let lastSave = 0;
  let newToken; // a promise, while requests wait for it
  let before = Promise.resolve();
  let isFileGone = false;
  let mayRecreate = false;

  /** Shows one line at the top of the page, or removes it. The link reloads the page, unless it does something else. */
  function show(text, link, follow = () => location.reload()) {
    document.getElementById("marimo-outage")?.remove();
    if (!text) return;
    const line = document.createElement("div");
    line.id = "marimo-outage";
    line.setAttribute("role", "status");
    line.style.cssText =
      "position:fixed;top:0;left:0;right:0;z-index:10000;padding:6px 16px;text-align:center;font:14px/1.4 system-ui,sans-serif;background:#fff3cd;color:#5c4400;border-bottom:1px solid #e6d08a";
    line.append(text);
    if (link) {
      const anchor = document.createElement("a");
      anchor.href = location.href;
      anchor.textContent = link;
      anchor.style.cssText = "margin-left:8px;text-decoration:underline";
      anchor.addEventListener("click", (event) => {
        event.preventDefault();
        follow();
      });
      line.append(anchor);
    }
    document.body?.append(line);
  }

  function showOutage() {
    const time = new Date(since).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const kept = "What you type is kept in this page and sent when the connection is back.";
    show(
      status
        ? `Your space has not answered since ${time} (HTTP ${status}). If it has stopped, run it again in Studio. ${kept}`
        : `There has been no connection to your space since ${time}. ${kept}`,
    );
  }

  function began(answer = 0) {
    const isNew = since === 0;
    const changed = status !== answer;
    status = answer;
    if (isNew) {
      since = Date.now();
      restored = new Promise((resolve) => {
        restore = resolve;
      });
      timer = setTimeout(showOutage, showAfter);
    } else if (changed && Date.now() - since > showAfter) showOutage();
  }

  function ended() {
    if (since !== 0) {
      since = 0;
      clearTimeout(timer);
      show();
      restore();
    }
    if (hasMissedEvents) {
      hasMissedEvents = false;
      void reloadWhenQuiet();
    }
  }

  /** marimo asks before it leaves a page that is not saved. */
  function isUnsaved() {
    const question = new Event("beforeunload", { cancelable: true });
    window.dispatchEvent(question);
    return question.defaultPrevented;
  }

  async function reloadWhenQuiet() {
    const began = Date.now();
    lastEdit = began;
    // marimo's page, in its new session, counts as saved before its save has even begun.
    const mustSave = () => wasUnsaved && lastSave < began;
    while (mustSave() && Date.now() - began < longestSave) {
      await sleep(2000);
      if (mustSave() && underway === 0) save();
    }
    while (underway > 0 || Date.now() - lastEdit < quiet) await sleep(200);
    if (mustSave() || isUnsaved()) {
      show("This page has missed results while it was away. Save your changes, then", "reload it");
    } else {
      show("This page has missed results while it was away, and reloads.");
      await sleep(1000);
      location.reload();
    }
  }

  /**
   * A restarted server has another token, which marimo requires from its pages ("skew protection"). While the server
   * starts, and while packages are being installed, there is a waiting page instead of marimo's.
   */
  async function findToken() {
    for (let pause = 1000; ; pause = Math.min(10000, 1.5 * pause)) {
      const signal = AbortSignal.timeout(pageTime);
      const page = await fetch(location.href, { headers: { Accept: "text/html" }, signal })
        .then((response) => response.text())
        .catch(() => "");
      // "[<]": private_interfaces.py must not find its text in this script.
      const token = /[<]marimo-server-token[^>]*data-token="([^"]+)"/.exec(page)?.[1];
      if (token) return token;
      await sleep(pause);
    }
  }

  /** The server's token. All requests that wait for it ask together. */
  function currentToken() {
    newToken ??= findToken().finally(() => {
      newToken = undefined;
    });
    return newToken;
  }

  /** Another program has changed the file. By then, marimo's page shows that too, and saves both. */
  async function saveAgain() {
    await sleep(2000);
    save();
  }

  /** The notebook's file was deleted or moved. This page writes it again only if the user wants that. */
  async function fileGone(request, response) {
    if (isFileGone) return;
    isFileGone = true;
    const { detail } = await response.json();
    const meanwhile =
      "This page is not saved any more. If the file comes back, the page will show what is in it.";
    show(`${detail}. ${meanwhile}`, "Save this page as that file again", () => {
      mayRecreate = true;
      save();
    });
    request.headers.set("Marimo-File-Check", "yes");
    for (let answer; answer?.status !== 204; ) {
      await sleep(2000);
      answer = await fetch.call(window, request.clone()).catch(() => undefined);
    }
    isFileGone = mayRecreate = false;
    show();
  }

  /** Presses the keys by which marimo's page saves. */
  function save() {
    const keys = { key: "s", code: "KeyS", ctrlKey: true, bubbles: true, cancelable: true };
    document.dispatchEvent(new KeyboardEvent("keydown", keys));
  }

  /** Sends a request now or after the outage. Sends it again if that cannot do any harm. */
  async function attempt(request, pathname) {
    const isEdit = edits.test(pathname);
    const canRepeat = isEdit || values.test(pathname);
    const waits = canRepeat || run.test(pathname);
    if (mayRecreate && saves.test(pathname)) request.headers.set("Marimo-Recreate", "yes");
    for (let tried; ; ) {
      if (waits) await restored;
      try {
        const response = await fetch.call(window, request.clone());
        if (response.status === 401 && request.headers.has(tokenHeader)) {
          const token = await currentToken();
          if (token === tried) return response; // marimo refuses it for another reason
          tried = token;
          request.headers.set(tokenHeader, token);
        } else if (canRepeat && response.status >= 502) await sleep(1000);
        else {
          if (isEdit && response.status === 409) void saveAgain();
          if (response.ok && isEdit && saves.test(pathname)) lastSave = Date.now();
          if (response.status === 410 && saves.test(pathname))
            void fileGone(request.clone(), response.clone());
          return response;
        }
      } catch (error) {
        if (!canRepeat || request.signal.aborted) throw error;
        await sleep(1000);
      }
    }
  }

  /** Resolves when a request that could be sent has had no answer for a time. */
  async function hung() {
    do {
      await Promise.all([restored, newToken]);
      await sleep(hanging);
    } while (since !== 0 || newToken);
  }

  /** Keeps the order of the user's values and edits: requests use several connections, and could overtake each other. */
  async function inOrder(request, pathname) {
    underway++;
    const answer = before.then(() => attempt(request, pathname));
    before = Promise.race([answer.catch(() => {}), hung()]);
    try {
      return await answer;
    } finally {
      underway--;
      if (edits.test(pathname)) lastEdit = Date.now();
    }
  }

  function send(input, init) {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    const isOrdered = edits.test(pathname) || values.test(pathname);
    return isOrdered ? inOrder(request, pathname) : attempt(request, pathname);
  }

  return {
    began,
    /** marimo has closed the stream for good, possibly because the user has shut it down on its home page. */
    async closed() {
      // The server closes its streams some time before it ends.
      for (let left = 15; left > 0; left--) {
        await sleep(2000);
        const answer = await fetch(new URL("api/status/connections", location.href)).catch(() => undefined);
        if (answer?.headers.get("X-Marimo-Waiting") === "shut down")
          return show("marimo was shut down.", "Start it again");
      }
    },
    ended,
    send,
    /** The page's connection to marimo was given up, or marimo's server was restarted. marimo's page connects anew. */
    missedEvents: () => {
      hasMissedEvents = true;
      wasUnsaved = isUnsaved();
      began();
    },
  };
})();
