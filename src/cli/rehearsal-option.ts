import { enterSession, findSession, type Session } from "../local-studio/session.ts";
import { text } from "../plan-review/plan.ts";
import type { Options, Values } from "./command-line.ts";

/** Options of commands that can use a running rehearsal instead of AWS. */
export const rehearsalOptions = {
  rehearsal: {
    help: "use the rehearsal that `npm start` runs in another terminal instead of AWS\n(default of --environment: its environment)",
  },
  run: { value: "RUN", help: "with --rehearsal: which one, if several are running" },
} as const satisfies Options;

/** Finds the selected rehearsal and points this process to it. */
export function enterRehearsal({ environment, run }: Values): Session {
  const session = findSession({ environmentName: text(environment), run: text(run) });
  enterSession(session);
  console.error(`Rehearsal ${session.run} of ${session.environmentName}`);
  return session;
}
