// The page's side of event_stream.py, in marimo's page ahead of marimo's own code: stands in for `fetch` for
// marimo's event stream. What marimo gets looks like one unbroken stream, each event once, however often the connection
// behind it is cut; where a hop holds streams back, it is made of one request after another. Also keeps the order of the
// values that a person sets.
(() => {
  const { transport } = document.currentScript.dataset;
  const fetch = window.fetch;
  const firstByte = 4000; // the server says hello at once, so a stream that is silent this long is held back
  const silence = 9000; // three keep-alives: the connection is dead
  const pollTime = 20000;
  const giveUp = 60000; // then marimo says that it is disconnected, and goes on trying in its own way
  const remembered = "sagemaker-marimo-polls";
  // Over HTTP/1.1 a browser has six connections to a host for all its pages together (Chromium's limit): the first few
  // pages stream, of the further ones the last to send something waits for the outcome, and the rest ask now and then.
  // That leaves two connections for everything else.
  const seats = transport === "sse" || !navigator.locks ? 0 : 3;
  const idlePause = 1000;
  const busyPause = 100; // after the page sent something, and from then on twice as long each time
  const busyTime = 5000;
  const sleep = (time) => new Promise((done) => setTimeout(done, time));
  const pages = new Map();
  let streamsWork = transport === "sse";
  let polls = transport === "polling" || (transport === "auto" && sessionStorage.getItem(remembered) === "1");

  window.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const isStream = url.origin === location.origin && /\/marimo\/sse$/.test(url.pathname);
    if (isStream) return open(new Request(input, init));
    const { pathname } = url;
    if (/\/marimo(-apps)?\/api\/kernel\//.test(pathname)) sent();
    const setsValue = /\/marimo\/api\/kernel\/set_(ui_element|model)_value$/.test(pathname);
    return setsValue ? inOrder(new Request(input, init)) : fetch.call(window, input, init);
  };

  // Requests go by several connections, and one that overtakes another would leave the kernel with an older value. One
  // that hangs keeps the next back for so long only.
  let before = Promise.resolve();
  function inOrder(request) {
    const answer = before.then(() => fetch.call(window, request));
    before = Promise.race([answer.catch(() => {}), sleep(silence)]);
    return answer;
  }

  let busyUntil = 0;
  let nextPause = idlePause;
  let wake = () => {};
  function sent() {
    busyUntil = Date.now() + busyTime;
    nextPause = busyPause;
    if (stands) waitForOutcome();
    wake();
  }

  /** Takes the one connection for waiting from the page that has it, and keeps it while busy or until another takes it. */
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
    const woken = new Promise((resolve) => {
      wake = resolve;
    });
    return Promise.race([sleep(time), woken]);
  };

  /** Whether this page may keep a connection open. It has its seat until it goes. */
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

  // The page goes for good: the next may edit at once. One that the browser kept begins anew.
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

    /** One request. Resolves to "again", "later", "end" (marimo's stream is over) or a Response that refuses. */
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
          Object.assign(page, newStream());
          return "end";
        }
        if (response.status >= 500) throw new Error(`the server answered ${response.status}`);
        if (!response.ok || !response.headers.has("Marimo-Stream")) return response;
        opened();
        const result = await read(response.body.getReader(), (text) => {
          if (polls || stands) return;
          // The server leaves a moment after its hello: what comes with more was held back until there was more.
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
        if (transport === "auto") streamsWork = false; // to be found out again
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
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "again";
        const text = decoder.decode(value, { stream: true });
        progress(text);
        const events = (rest + text).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const id = /^id: (\d+)\n/.exec(event);
          if (!id || Number(id[1]) <= page.after || stopped()) continue;
          page.after = Number(id[1]);
          sink.enqueue(encoder.encode(`${event.slice(id[0].length)}\n\n`));
          if (event.includes("\nevent: close\n")) {
            Object.assign(page, newStream());
            return "end";
          }
        }
      }
    }

    return new Promise((resolve, reject) => {
      // Made once: with each later request its body is in use, and a second Response around it would throw.
      const response = new Response(body, {
        headers: { "Content-Type": "text/event-stream; charset=utf-8" },
      });
      const opened = () => resolve(response);
      const fail = (error) => {
        reject(error);
        try {
          sink.error(error);
        } catch {} // it has ended before
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
              opened();
              stop();
              return sink.close();
            }
            if (result === "later") await pause();
            failures = result === "again" && !polls && !stands && Date.now() - began < 500 ? failures + 1 : 0;
          } catch (error) {
            failures++;
            failingSince ||= began;
            if (Date.now() - failingSince > giveUp) return fail(error);
          }
          if (failures) await sleep(Math.min(2000, 150 * failures));
        }
      })().catch(fail);
    });
  }
})();
