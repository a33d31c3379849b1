// The browser's side of event_stream.py. It is inserted into marimo's page before marimo's own code, and replaces
// `fetch` for marimo's event stream. marimo receives one uninterrupted stream with each event once, even if the
// connection is interrupted, for hours. If a proxy buffers streams, the page polls instead.
(() => {
  const { transport } = document.currentScript.dataset;
  const fetch = window.fetch;
  const firstByte = 4000; // the server sends a comment at once, so a stream without data after this time is buffered
  const silence = 9000; // three missing keep-alives: the connection is dead
  const pollTime = 20000;
  const giveUp = 60000; // of a page that never had a connection: then marimo shows that it is disconnected
  const patience = 16 * 3600 * 1000; // of other pages: as long as proxy.py keeps their events (MAX_AWAY_SECONDS)
  const longest = 2 << 20; // characters of one response, then the next request confirms them
  const remembered = "sagemaker-marimo-polls";
  // Over HTTP/1.1 a browser opens six connections to a host for all pages together (Chromium's limit). The first three
  // pages stream. Of the others, the page that last sent a request waits for its outcome, and the rest poll at
  // intervals. This leaves two connections for everything else.
  const seats = transport === "sse" || !navigator.locks ? 0 : 3;
  const idlePause = 1000;
  const busyPause = 100; // after the page has sent a request; doubled each time
  const busyTime = 5000;
  const sleep = (time) => new Promise((done) => setTimeout(done, time));
  const pages = new Map();
  let streamsWork = transport === "sse";
  let polls = transport === "polling" || (transport === "auto" && sessionStorage.getItem(remembered) === "1");

  window.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const isStream = url.origin === location.origin && /\/marimo(-apps)?\/sse$/.test(url.pathname);
    if (isStream) return open(new Request(input, init));
    const { pathname } = url;
    if (/\/marimo(-apps)?\/api\/kernel\//.test(pathname)) sent();
    // The home page has no notebook. Its "Shutdown" ends marimo's server, which no other page may do (proxy.py).
    if (pathname.endsWith("/api/kernel/shutdown") && !new URLSearchParams(location.search).has("file")) {
      const request = new Request(input, init);
      request.headers.set("Marimo-Home", "1");
      return fetch.call(window, request);
    }
    if (pathname.endsWith("/api/kernel/instantiate") && isFromElsewhere)
      return instantiateOnly(new Request(input, init));
    if (polls && /\/marimo\/api\/ai\/(chat|completion)$/.test(pathname))
      return modelReply.inPieces(new Request(input, init));
    if (!/\/marimo(-apps)?\/api\//.test(pathname)) return fetch.call(window, input, init);
    return outage.send(input, init);
  };

  // A link on another website may open a notebook, but not run it (proxy.py). marimo's page decides by `autoRun`.
  const isFromElsewhere = sessionStorage.getItem("sagemaker-marimo-from-elsewhere") === location.href;
  const instantiateOnly = async (request) =>
    outage.send(
      new Request(request, { body: JSON.stringify({ ...(await request.json()), autoRun: false }) }),
    );

  let busyUntil = 0;
  let nextPause = idlePause;
  let wake = () => {};
  addEventListener("online", () => wake());
  const sleepUntilWoken = (time) => {
    const woken = new Promise((resolve) => {
      wake = resolve;
    });
    return Promise.race([sleep(time), woken]);
  };
  function sent() {
    busyUntil = Date.now() + busyTime;
    nextPause = busyPause;
    if (stands) waitForOutcome();
    wake();
  }

  /** Takes the one waiting connection from its page. Keeps it while busy, or until another page takes it. */
  let waits = false;
  let letGo = () => {};
  async function waitForOutcome() {
    if (waits) return;
    waits = true;
    const untilIdle = async () => {
      for (let left = busyTime; left > 0; left = busyUntil - Date.now()) await sleep(left);
    };
    await navigator.locks.request("sagemaker-marimo-waits", { steal: true }, untilIdle).catch(() => {});
    waits = false;
    letGo();
  }
  const pause = () => {
    const time = nextPause;
    nextPause = Math.min(idlePause, 2 * time);
    return sleepUntilWoken(time);
  };

  /** Whether this page has no connection of its own (`stands`). A page keeps its seat until it is closed. */
  let stands = false;
  let seated = seats === 0 || performance.getEntriesByType("navigation")[0]?.nextHopProtocol !== "http/1.1";
  async function takeSeat() {
    for (let number = 0; number < seats && !seated; number++) {
      seated = await new Promise((resolve, reject) => {
        const held = (lock) => {
          resolve(lock !== null);
          return lock === null ? undefined : new Promise(() => {});
        };
        navigator.locks.request(`sagemaker-marimo-${number}`, { ifAvailable: true }, held).catch(reject);
      });
    }
    stands = !seated;
  }

  // The page is closed for good, so that the next page may edit at once. A page from the browser's cache is reloaded.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  addEventListener("pagehide", () => {
    for (const { url, stream, reader } of pages.values()) {
      reader?.();
      const headers = { "Marimo-Stream": stream };
      fetch(url, { method: "DELETE", keepalive: true, headers }).catch(() => {});
    }
  });

  function newStream() {
    const random = crypto.getRandomValues(new Uint32Array(4));
    return { stream: Array.from(random, (part) => part.toString(16)).join(""), after: 0 };
  }

  function open(request) {
    ownConnection.isReplaced();
    const session = new URL(request.url).searchParams.get("session_id");
    if (!pages.has(session)) pages.set(session, { url: request.url, ...newStream() });
    const page = pages.get(session);
    let current;
    let sink;
    const stop = () => {
      request.signal.removeEventListener("abort", stop);
      page.reader = undefined;
      current?.abort();
    };
    page.reader?.();
    page.reader = stop;
    const stopped = () => page.reader !== stop;
    request.signal.addEventListener("abort", stop);
    const body = new ReadableStream({
      start(controller) {
        sink = controller;
      },
      cancel: stop,
    });

    /** One request. Resolves to "again", "later", "end" (marimo's stream has ended) or an error Response. */
    async function once(opened) {
      await takeSeat().catch(() => {});
      if (stopped()) return "again";
      const waiting = stands && waits;
      const brief = stands && !waiting;
      current = new AbortController();
      const { signal } = current;
      const probing = !polls && !stands && !streamsWork;
      let held = false;
      let taken = false;
      let timer;
      const within = (time) => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          held = probing && !streamsWork;
          current.abort();
        }, time);
      };
      const abort = current;
      if (waiting) {
        letGo = () => {
          taken = true;
          abort.abort();
        };
      }
      within(polls || stands ? pollTime : probing ? firstByte : silence);
      try {
        const headers = new Headers(request.headers);
        headers.set("Marimo-Stream", page.stream);
        headers.set("Marimo-Stream-After", page.after);
        if (polls || stands) headers.set("Marimo-Stream-Poll", brief ? "0" : "1");
        if (probing) headers.set("Marimo-Stream-Probe", "1");
        const { credentials } = request;
        const response = await fetch(page.url, { headers, signal, credentials, cache: "no-store" });
        if (response.status === 410) {
          if (page.after > 0) outage.missedEvents();
          Object.assign(page, newStream());
          return "end";
        }
        const isStream = response.ok && response.headers.has("Marimo-Stream");
        // A gateway may answer for a space that has stopped, with any status.
        if (response.status >= 500 || (page.after > 0 && !isStream))
          throw Object.assign(new Error(`the server answered ${response.status}`), {
            status: response.status,
          });
        if (!isStream) return response;
        opened();
        const result = await read(response.body.getReader(), (text) => {
          if (polls || stands) return;
          // The server pauses after its first comment: if more arrives with it, a proxy buffered the response.
          if (probing && !streamsWork && text !== ": hello\n\n") {
            held = true;
            throw new Error("the stream is held back");
          }
          streamsWork = true;
          within(silence);
        });
        return brief && result === "again" ? "later" : result;
      } catch (error) {
        if (taken) return "later";
        if (transport === "auto") streamsWork = false; // probe again
        if (!held || transport !== "auto") throw error;
        polls = true;
        sessionStorage.setItem(remembered, "1");
        return "again";
      } finally {
        clearTimeout(timer);
        letGo = () => {};
        abort.abort();
      }
    }

    async function read(reader, progress) {
      const decoder = new TextDecoder();
      const encoder = new TextEncoder();
      let parts = []; // of an event that is not complete
      let size = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "again";
        const text = decoder.decode(value, { stream: true });
        progress(text);
        parts.push(text);
        size += text.length;
        // Inside a large event, joining the parts each time would be quadratic.
        if (!text.includes("\n\n") && !text.startsWith("\n")) continue;
        const events = parts.join("").split("\n\n");
        parts = [events.pop()];
        for (const event of events) {
          const id = /^id: (\d+)\n/.exec(event);
          if (!id || Number(id[1]) <= page.after || stopped()) continue;
          page.after = Number(id[1]);
          sink.enqueue(encoder.encode(`${event.slice(id[0].length)}\n\n`));
          if (event.includes("\nevent: close\n")) {
            void outage.closed();
            Object.assign(page, newStream());
            return "end";
          }
        }
        if (size > longest) return "again";
      }
    }

    return new Promise((resolve, reject) => {
      // Created once: its body can be used only once, so a second Response around it would throw.
      const response = new Response(body, {
        headers: { "Content-Type": "text/event-stream; charset=utf-8" },
      });
      const opened = () => {
        outage.ended();
        resolve(response);
      };
      const fail = (error) => {
        reject(error);
        try {
          sink.error(error);
        } catch {} // the stream has already ended
      };
      request.signal.addEventListener("abort", () => fail(new DOMException("aborted", "AbortError")));
      (async () => {
        let failures = 0;
        let failingSince = 0;
        while (!stopped()) {
          const began = Date.now();
          try {
            const result = await once(opened);
            failingSince = 0;
            if (result instanceof Response) {
              resolve(result);
              return fail(new Error(`the server answered ${result.status}`));
            }
            if (result === "end") {
              resolve(response);
              stop();
              return sink.close();
            }
            if (result === "later") await pause();
            failures = result === "again" && !polls && !stands && Date.now() - began < 500 ? failures + 1 : 0;
          } catch (error) {
            failures++;
            failingSince ||= began;
            if (Date.now() - failingSince > (page.after > 0 ? patience : giveUp)) return fail(error);
            if (page.after > 0) outage.began(error.status);
          }
          if (failures) await sleepUntilWoken(Math.min(failures > 40 ? 10000 : 2000, 150 * failures));
        }
      })().catch(fail);
    });
  }
})();
