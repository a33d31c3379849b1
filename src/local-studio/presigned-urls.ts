import { randomBytes } from "node:crypto";

export interface SignIn {
  readonly domainId: string;
  readonly userProfileName: string;
  readonly spaceName?: string | undefined;
  readonly landingUri?: string | undefined;
  /** Lifetime of the link in seconds (SageMaker API, `ExpiresInSeconds`: 5-300). */
  readonly expiresInSeconds: number;
  /** Lifetime of the session in seconds (SageMaker API, `SessionExpirationDurationInSeconds`: 1800-43200). */
  readonly sessionExpirationInSeconds: number;
}

/** The links that CreatePresignedDomainUrl has created. */
export class PresignedUrls {
  private readonly signIns = new Map<string, SignIn & { readonly expires: number }>();
  private readonly now: () => number;

  constructor(now = () => Date.now()) {
    this.now = now;
  }

  /** Creates a link; returns its path and query string. */
  issue(signIn: SignIn): string {
    for (const [token, { expires }] of this.signIns) if (expires <= this.now()) this.signIns.delete(token);
    const token = randomBytes(32).toString("base64url");
    this.signIns.set(token, { ...signIn, expires: this.now() + signIn.expiresInSeconds * 1000 });
    return `/auth?token=${token}`;
  }

  /** The sign-in of a link, or `undefined` if the link is unknown or has expired. */
  redeem(url: URL): SignIn | undefined {
    const token = url.searchParams.get("token") ?? "";
    const signIn = this.signIns.get(token);
    return signIn !== undefined && signIn.expires > this.now() ? signIn : undefined;
  }
}

/** The path that a link opens in its space: from `app:JupyterLab:<relative path>`, or JupyterLab by default. */
export function landingPath(landingUri: string | undefined): string {
  const relative = /^app:JupyterLab:(.*)$/.exec(landingUri ?? "")?.[1]?.replace(/^\/+/, "");
  // Only ASCII is allowed in a header.
  return `/jupyterlab/default/${(relative || "lab").replace(/[^\x21-\x7e]+/gu, encodeURIComponent)}`;
}

/** The target of a session: a space or, without `spaceName`, Studio. */
export type Place = Partial<Pick<SignIn, "domainId" | "spaceName">>;

/** Prefix of the session cookies' names. The gateway removes these cookies from requests to a space. */
export const sessionCookiePrefix = "local-studio.";

/** The active sessions. */
export class Sessions {
  private readonly sessions = new Map<string, SignIn & { readonly expires: number }>();
  private readonly now: () => number;

  constructor(now = () => Date.now()) {
    this.now = now;
  }

  /** Starts a session; returns its `Set-Cookie` header. */
  start(signIn: SignIn): string {
    for (const [value, { expires }] of this.sessions) if (expires <= this.now()) this.sessions.delete(value);
    const value = randomBytes(32).toString("base64url");
    const seconds = signIn.sessionExpirationInSeconds;
    this.sessions.set(value, { ...signIn, expires: this.now() + seconds * 1000 });
    // All ports of a host share cookies. With a common name, a sign-in to one space would end the session of another.
    const name = [signIn.domainId, ...(signIn.spaceName ? [signIn.spaceName.toLowerCase()] : [])].join(".");
    return `${sessionCookiePrefix}${name}=${value}; Max-Age=${seconds}; Path=/; HttpOnly; SameSite=Lax`;
  }

  /**
   * Finds the session of a request's `Cookie` header for a place (default: Studio, in any domain). Returns `undefined`
   * if no cookie has a valid session for that place.
   */
  sessionOf(cookieHeader: string | undefined, place: Place = {}): SignIn | undefined {
    for (const cookie of (cookieHeader ?? "").split(";")) {
      const [name = "", value = ""] = cookie.trim().split("=");
      const session = name.startsWith(sessionCookiePrefix) ? this.sessions.get(value) : undefined;
      if (session === undefined || session.expires <= this.now()) continue;
      // SageMaker names are not case-sensitive.
      if (session.spaceName?.toLowerCase() !== place.spaceName?.toLowerCase()) continue;
      if (place.domainId === undefined || place.domainId === session.domainId) return session;
    }
    return undefined;
  }
}
