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

/**
 * The SDK's errors without credentials, and AWS's for those that it does not accept (AWS General Reference, "Common
 * errors"; Amazon S3 API Reference, "Error responses"; Amazon EC2 API Reference, "Error codes").
 */
const credentialErrors: ReadonlySet<string> = new Set([
  ...["CredentialsProviderError", "ProviderError", "TokenProviderError"],
  ...["AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken"],
  ...["ExpiredToken", "ExpiredTokenException", "InvalidSignatureException", "MissingAuthenticationToken"],
  ...["RequestExpired", "SignatureDoesNotMatch", "UnrecognizedClientException"],
]);

/** Whether there are no AWS credentials, or AWS does not accept them. */
const isWithoutCredentials = (error: unknown): error is Error =>
  error instanceof Error && credentialErrors.has(error.name);

/** The text of an error on a terminal. */
export function describeError(error: unknown): string {
  if (error instanceof Problem) {
    return [
      error.message,
      `  What to do: ${error.remedy}`,
      ...(error.log ? [`  Log: ${error.log}`] : []),
    ].join("\n");
  }
  const cause = error instanceof StepFailure ? error.cause : error;
  if (isWithoutCredentials(cause)) {
    return `No valid AWS credentials were found: ${cause.message}\n  What to do: set AWS_PROFILE, or run aws sso login`;
  }
  if (error instanceof StepFailure) return `The step "${error.step}" failed: ${error.message}`;
  // Every error of a request by the SDK has this member, also one without an answer.
  if (error instanceof Error && "$metadata" in error)
    return `A request to AWS failed: ${error.name}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
