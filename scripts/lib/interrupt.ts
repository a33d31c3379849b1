import { killDescendants } from "../../src/local-studio/process-tree.ts";

/** The first signal asks for an orderly end; a second one ends everything at once. */
export function onInterrupt(props: { readonly message: string; readonly cleanUp: () => void }): AbortSignal {
  const stop = new AbortController();
  // A terminal that was closed takes no more output: no reason to stop cleaning up.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  let first = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) {
        first = Date.now();
        console.error(`\n${props.message} Ctrl-C again ends everything at once.`);
        stop.abort();
        // npm passes a Ctrl-C on that the terminal has delivered already: one press arrives twice.
      } else if (Date.now() - first > 500) {
        killDescendants();
        props.cleanUp();
        process.exit(130);
      }
    });
  }
  return stop.signal;
}
