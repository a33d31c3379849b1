import { killDescendants } from "../../src/local-studio/process-tree.ts";
import { npmEnded } from "./npm.ts";

/** The first signal, or npm's end, asks for an orderly end; a second signal ends everything at once. */
export function onInterrupt(props: { readonly message: string; readonly cleanUp: () => void }): AbortSignal {
  const stop = new AbortController();
  // A terminal that was closed takes no more output: no reason to stop cleaning up.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  let first = 0;
  const begin = (why: string) => {
    first = Date.now();
    console.error(`\n${why}${props.message} Ctrl-C again ends everything at once.`);
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) {
        begin("");
        // npm passes a Ctrl-C on that the terminal has delivered already: one press arrives twice.
      } else if (Date.now() - first > 500) {
        killDescendants();
        props.cleanUp();
        process.exit(130);
      }
    });
  }
  void npmEnded().then(() => {
    if (!stop.signal.aborted) begin("npm was killed. ");
  });
  return stop.signal;
}
