import { Problem, StepFailure } from "./problem.ts";

export interface StepTime {
  readonly name: string;
  readonly seconds: number;
}

/** The part of `process.stderr` that is needed to show progress. */
export interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Runs the steps of a command in sequence, shows the progress and records the duration of each step. */
export class Steps {
  readonly times: StepTime[] = [];
  private readonly terminal: Terminal;
  private current = "";

  constructor(terminal: Terminal = process.stderr) {
    this.terminal = terminal;
  }

  /** Shows what a long step is doing. */
  readonly progress = (text: string): void => {
    if (this.terminal.isTTY) this.show(`… ${this.current}: ${text}`);
  };

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.current = name;
    const started = performance.now();
    const seconds = () => (performance.now() - started) / 1000;
    // The seconds show that a step without output is still running.
    const ticker = this.terminal.isTTY ? setInterval(() => this.show(this.line(seconds())), 1000) : undefined;
    this.show(`… ${name}`);
    try {
      const result = await work();
      this.times.push({ name, seconds: seconds() });
      this.end(`✓ ${name} (${seconds().toFixed(1)} s)`);
      return result;
    } catch (error) {
      this.end(`✗ ${name} (${seconds().toFixed(1)} s)`);
      throw error instanceof StepFailure || error instanceof Problem ? error : new StepFailure(name, error);
    } finally {
      clearInterval(ticker);
    }
  }

  private detail = "";

  private line(seconds: number): string {
    return `${this.detail} (${seconds.toFixed(0)} s)`;
  }

  /** On a terminal the line is rewritten. Elsewhere each step is one line when it is done. */
  private show(text: string): void {
    this.detail = text.replace(/ \(\d+ s\)$/, "");
    if (this.terminal.isTTY)
      this.terminal.write(`\r\x1b[K${text.slice(0, (this.terminal.columns || 80) - 1)}`);
  }

  private end(text: string): void {
    this.terminal.write(this.terminal.isTTY ? `\r\x1b[K${text}\n` : `${text}\n`);
  }
}
