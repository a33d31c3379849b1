import { npmEnded } from "./npm.ts";
import { killDescendants } from "./process-tree.ts";

/** The first signal, or the end of npm, starts an orderly stop. A second signal kills all child processes. */
export function onInterrupt(props: { readonly message: string; readonly cleanUp: () => void }): AbortSignal {
  const stop = new AbortController();
  // Writing to a closed terminal fails, which must not stop the clean-up.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  let first = 0;
  const begin = (why: string) => {
    first = Date.now();
    console.error(`\n${why}${props.message} Press Ctrl-C again to stop immediately.`);
    stop.abort();
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) {
        begin("");
        // One Ctrl-C arrives twice: from the terminal and from npm.
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
