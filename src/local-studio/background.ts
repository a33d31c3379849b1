/** Work in parallel to the steps. The step that waits for it reports its errors. */
export class Background {
  /** Aborted by an interrupt and when a step fails. */
  readonly signal: AbortSignal;
  private readonly ending = new AbortController();
  private readonly pending: Promise<unknown>[] = [];

  constructor(interrupted: AbortSignal | undefined) {
    this.signal = AbortSignal.any([this.ending.signal, ...(interrupted ? [interrupted] : [])]);
  }

  /** @param work must end when `signal` is aborted */
  run<T>(work: Promise<T>): Promise<T> {
    this.pending.push(work);
    work.catch(() => {});
    return work;
  }

  /** Aborts all work and waits until it has ended. */
  async end(): Promise<void> {
    this.ending.abort();
    await Promise.allSettled(this.pending);
  }
}
