import { randomBytes } from "node:crypto";

export interface SignIn {
  readonly domainId: string;
  readonly userProfileName: string;
  readonly spaceName?: string | undefined;
  readonly landingUri?: string | undefined;
  /** Seconds for which the link works (SageMaker API, `ExpiresInSeconds`: 5-300). */
  readonly expiresInSeconds: number;
  /** Seconds that a person stays signed in (SageMaker API, `SessionExpirationDurationInSeconds`: 1800-43200). */
  readonly sessionExpirationInSeconds: number;
}

/** The links that CreatePresignedDomainUrl gave out. */
export class PresignedUrls {
  private readonly signIns = new Map<string, SignIn & { readonly expires: number }>();
  private readonly now: () => number;

  constructor(now: () => number = Date.now) {
    this.now = now;
  }

  /** Path and query of a new link. */
  issue(signIn: SignIn): string {
    const token = randomBytes(32).toString("base64url");
    this.signIns.set(token, { ...signIn, expires: this.now() + signIn.expiresInSeconds * 1000 });
    return `/auth?token=${token}`;
  }

  /** Who a link signs in, or `undefined` where it is unknown or has expired. */
  redeem(url: string): SignIn | undefined {
    const token = new URL(url, "http://localhost").searchParams.get("token") ?? "";
    const signIn = this.signIns.get(token);
    if (signIn !== undefined && signIn.expires > this.now()) return signIn;
    this.signIns.delete(token);
    return undefined;
  }
}

/** Where a link leads inside its space: `app:JupyterLab:<relative path>`, or JupyterLab itself. */
export function landingPath(landingUri: string | undefined): string {
  const relative = /^app:JupyterLab:(.*)$/.exec(landingUri ?? "")?.[1]?.replace(/^\/+/, "");
  return `/jupyterlab/default/${relative || "lab"}`;
}

export function sessionCookie(signIn: SignIn): string {
  const value = randomBytes(16).toString("hex");
  return `local-studio-session=${value}; Max-Age=${signIn.sessionExpirationInSeconds}; Path=/; HttpOnly; SameSite=Lax`;
}
