import type { LogLine } from "./job-order.ts";

/** Collects lines for 100 ms, because one request per line would take longer than the job. */
export class LogBatch {
  private lines: LogLine[] = [];
  private timer: NodeJS.Timeout | undefined;
  private readonly send: (lines: readonly LogLine[]) => void;

  constructor(send: (lines: readonly LogLine[]) => void) {
    this.send = send;
  }

  add(line: LogLine): void {
    this.lines.push(line);
    this.timer ??= setTimeout(() => this.flush(), 100);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.lines.length > 0) this.send(this.lines);
    this.lines = [];
  }
}
