// The page's side of event_stream.py, in marimo's page ahead of marimo's own code: stands in for `fetch` for
// marimo's event stream alone. What marimo gets looks like one unbroken stream, each event once, however often the
// connection behind it is cut; where a hop holds streams back, it is made of one request after another.
(() => {
  const { transport } = document.currentScript.dataset;
  const fetch = window.fetch;
  const firstByte = 4000; // the server says hello at once, so a stream that is silent this long is held back
  const silence = 9000; // three keep-alives: the connection is dead
  const pollTime = 20000;
  const giveUp = 60000; // then marimo says that it is disconnected, and goes on trying in its own way
  const remembered = "sagemaker-marimo-polls";
  const pages = new Map();
  let streamsWork = transport === "sse";
  let polls = transport === "polling" || (transport === "auto" && sessionStorage.getItem(remembered) === "1");

  window.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const isStream = url.origin === location.origin && /\/marimo\/sse$/.test(url.pathname);
    return isStream ? open(new Request(input, init)) : fetch.call(window, input, init);
  };

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

    /** One request. Resolves to "again", "end" (marimo's stream is over) or a Response that refuses. */
    async function once(opened) {
      current = new AbortController();
      const { signal } = current;
      const probing = !polls && !streamsWork;
      let held = false;
      let timer;
      const within = (time) => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          held = probing && !streamsWork;
          current.abort();
        }, time);
      };
      const abort = current;
      within(polls ? pollTime : probing ? firstByte : silence);
      try {
        const headers = new Headers(request.headers);
        headers.set("Marimo-Stream", page.stream);
        headers.set("Marimo-Stream-After", page.after);
        if (polls) headers.set("Marimo-Stream-Poll", "1");
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
        return await read(response.body.getReader(), (text) => {
          if (polls) return;
          // The server leaves a moment after its hello: what comes with more was held back until there was more.
          if (probing && !streamsWork && text !== ": hello\n\n") {
            held = true;
            throw new Error("the stream is held back");
          }
          streamsWork = true;
          within(silence);
        });
      } catch (error) {
        if (transport === "auto") streamsWork = false; // to be found out again
        if (!held || transport !== "auto") throw error;
        polls = true;
        sessionStorage.setItem(remembered, "1");
        return "again";
      } finally {
        clearTimeout(timer);
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
            failures = !polls && Date.now() - began < 500 ? failures + 1 : 0;
          } catch (error) {
            failures++;
            failingSince ||= began;
            if (Date.now() - failingSince > giveUp) return fail(error);
          }
          if (failures) await new Promise((done) => setTimeout(done, Math.min(2000, 150 * failures)));
        }
      })().catch(fail);
    });
  }
})();
