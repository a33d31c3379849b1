/** Something that a person can put right: what is wrong, and what to do next. Shown without a stack trace. */
export class Problem extends Error {
  readonly remedy: string;
  /** A file that tells more. */
  readonly log: string | undefined;

  constructor(props: {
    readonly message: string;
    readonly remedy: string;
    readonly log?: string | undefined;
  }) {
    super(props.message);
    this.name = "Problem";
    this.remedy = props.remedy;
    this.log = props.log;
  }
}

/** A step failed; `cause` says why. */
export class StepFailure extends Error {
  readonly step: string;

  constructor(step: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "StepFailure";
    this.step = step;
  }
}

/** How any error is shown on a terminal. */
export function describeError(error: unknown): string {
  if (error instanceof Problem) {
    return [
      error.message,
      `  What to do: ${error.remedy}`,
      ...(error.log ? [`  Log: ${error.log}`] : []),
    ].join("\n");
  }
  if (error instanceof StepFailure) return `The step "${error.step}" failed: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
