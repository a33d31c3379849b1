import { join } from "node:path";
import type { Steps } from "../../src/cli/steps.ts";
import { runTethered } from "../../src/local-studio/tethered.ts";
import {
  criticalPath,
  dependenciesIn,
  type Link,
  type Message,
  messageIn,
  resourceTimes,
} from "./critical-path.ts";

export interface StackProps {
  /** The name in reports. */
  readonly name: string;
  /** Contains the stack's JSON. */
  readonly folder: string;
  readonly terraform: string;
  /** Any Python that runs `tether.py`. */
  readonly python: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly logs: string;
  readonly steps: Steps;
  readonly signal: AbortSignal;
}

/** The times of a Terraform command. */
export interface Timed {
  readonly seconds: number;
  /** Number of created or destroyed resource instances. */
  readonly resources: number;
  /** The critical path in the order of execution. */
  readonly path: readonly Link[];
}

export interface Options {
  /** @default the command */
  readonly label?: string | undefined;
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly onMessage?: ((message: Message) => void) | undefined;
}

/** Runs Terraform with JSON output on a stack. */
export class Stack {
  private readonly props: StackProps;
  private dependencies: ReadonlyMap<string, readonly string[]> = new Map();

  private constructor(props: StackProps) {
    this.props = props;
  }

  static async prepare(props: StackProps): Promise<Stack> {
    const stack = new Stack(props);
    await props.steps.run(`${props.name}: init`, () => stack.init());
    return stack;
  }

  private async init(): Promise<void> {
    await this.terraform("init", ["init", "-no-color"], [0]);
    this.dependencies = dependenciesIn((await this.terraform("graph", ["graph"], [0])).output);
  }

  apply(options: Options = {}): Promise<Timed> {
    return this.timed("apply", ["apply", "-auto-approve"], 0, options);
  }

  destroy(options: Options = {}): Promise<Timed> {
    return this.timed("destroy", ["destroy", "-auto-approve"], 0, options);
  }

  /** Fails if the plan does not have changes as expected. */
  plan(changes: boolean, options: Options = {}): Promise<Timed> {
    // 2: "Succeeded with non-empty diff" (Terraform, "Command: plan").
    return this.timed("plan", ["plan", "-detailed-exitcode"], changes ? 2 : 0, options);
  }

  private timed(command: string, args: readonly string[], status: number, options: Options): Promise<Timed> {
    const { name, steps } = this.props;
    return steps.run(`${name}: ${options.label ?? command}`, async () => {
      const messages: Message[] = [];
      let done = 0;
      const began = performance.now();
      await this.terraform(command, [...args, "-json"], [status], {
        ...options,
        onLine: (line) => {
          const message = messageIn(line);
          if (message === undefined) return;
          messages.push(message);
          if (message.type === "apply_complete" && message.hook?.action !== "read") done += 1;
          if (message.hook) steps.progress(`${done} done, ${message["@message"]}`);
          options.onMessage?.(message);
        },
      });
      const seconds = (performance.now() - began) / 1000;
      const path = criticalPath(this.dependencies, resourceTimes(messages));
      return { seconds, resources: done, path: command === "destroy" ? path.toReversed() : path };
    });
  }

  private async terraform(
    command: string,
    args: readonly string[],
    allowed: readonly number[],
    options: Options & { readonly onLine?: (line: string) => void } = {},
  ) {
    const { name, folder, terraform, python, environment, logs, signal } = this.props;
    const log = join(logs, `terraform-${name.replaceAll(/\W+/g, "-")}-${command}.log`);
    const finished = await runTethered({
      python,
      command: [terraform, `-chdir=${folder}`, ...args],
      environment: { ...environment, ...options.environment },
      log,
      signal,
      onLine: options.onLine,
    });
    if (allowed.includes(finished.status)) return finished;
    const lines = finished.output.split("\n");
    const errors = lines.flatMap((line) => {
      const message = messageIn(line);
      return message?.["@level"] === "error" ? [message["@message"]] : [];
    });
    const details = (errors.length > 0 ? errors : lines.slice(-20)).join("\n");
    throw new Error(`terraform ${command} of ${name} failed with status ${finished.status}:\n${details}`);
  }
}
