import { join } from "node:path";
import type { Steps } from "../../src/local-studio/steps.ts";
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
  /** In the reports. */
  readonly name: string;
  /** Holds the stack's JSON. */
  readonly folder: string;
  readonly terraform: string;
  /** Any Python that runs `tether.py`. */
  readonly python: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly logs: string;
  readonly steps: Steps;
  readonly signal: AbortSignal;
}

/** A command of Terraform's. */
export interface Timed {
  readonly seconds: number;
  /** Instances of resources that it created or destroyed. */
  readonly resources: number;
  /** In the order of the work. */
  readonly path: readonly Link[];
}

export interface Options {
  /** In place of what the command is called. */
  readonly told?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly onMessage?: (message: Message) => void;
}

/** A stack's JSON and Terraform, which works on it with its messages as JSON. */
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

  /** Whether it has changes is known, and not the wished-for answer is an error. */
  plan(changes: boolean, options: Options = {}): Promise<Timed> {
    // 2: "Succeeded with non-empty diff" (Terraform, "Command: plan").
    return this.timed("plan", ["plan", "-detailed-exitcode"], changes ? 2 : 0, options);
  }

  private timed(command: string, args: readonly string[], status: number, options: Options): Promise<Timed> {
    const { name, steps } = this.props;
    return steps.run(`${name}: ${options.told ?? command}`, async () => {
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
      ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    });
    if (allowed.includes(finished.status)) return finished;
    const lines = finished.output.split("\n");
    const errors = lines.flatMap((line) => {
      const message = messageIn(line);
      return message?.["@level"] === "error" ? [message["@message"]] : [];
    });
    const told = (errors.length > 0 ? errors : lines.slice(-20)).join("\n");
    throw new Error(`terraform ${command} of ${name} ended with ${finished.status}:\n${told}`);
  }
}
