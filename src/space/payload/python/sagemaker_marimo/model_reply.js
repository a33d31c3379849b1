// The page's side of model_reply.py. It is inserted into marimo's page before event_stream.js.
// biome-ignore lint/correctness/noUnusedVariables: event_stream.js uses it, which proxy.py puts into the same script.
const modelReply = (() => {
  /** A model's reply behind a gateway that buffers: the page asks for it piece by piece. */
  async function inPieces(request) {
    const { signal, credentials } = request;
    const headers = new Headers(request.headers);
    headers.set("Marimo-Reply", crypto.getRandomValues(new Uint32Array(4)).join("-"));
    const question = await request.text();
    let received = 0;
    async function next() {
      headers.set("Marimo-Reply-After", received);
      const body = received > 0 ? "" : question;
      const response = await outage.send(request.url, { method: "POST", headers, body, signal, credentials });
      const bytes = new Uint8Array(await response.arrayBuffer());
      received += bytes.length;
      // A gateway may answer for the space, without this header.
      const isLast = response.headers.get("Marimo-Reply") !== "more";
      return { response, bytes, isLast };
    }
    let piece = await next();
    while (piece.response.status === 202) piece = await next();
    const { response } = piece;
    const body = new ReadableStream({
      async pull(controller) {
        while (piece.bytes.length === 0 && !piece.isLast) piece = await next();
        const { bytes } = piece;
        piece.bytes = bytes.subarray(bytes.length);
        if (bytes.length > 0) controller.enqueue(bytes);
        else controller.close();
      },
    });
    const { status } = response;
    return new Response(body, { status, headers: response.headers });
  }
  return { inPieces };
})();
