/** An error that a user can fix: what is wrong and what to do. Shown without a stack trace. */
export class Problem extends Error {
  readonly remedy: string;
  /** A log file with details. */
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

/** The text of an error on a terminal. */
export function describeError(error: unknown): string {
  if (error instanceof Problem) {
    return [
      error.message,
      `  What to do: ${error.remedy}`,
      ...(error.log ? [`  Log: ${error.log}`] : []),
    ].join("\n");
  }
  if (error instanceof Error && error.name === "CredentialsProviderError") {
    return "No valid AWS credentials were found.\n  What to do: set AWS_PROFILE, or run aws sso login";
  }
  if (error instanceof StepFailure) return `The step "${error.step}" failed: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
