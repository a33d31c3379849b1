import type { IncomingMessage, ServerResponse } from "node:http";
import type { GatewayProps } from "./gateway.ts";
import { HttpError, isSameOrigin, type Log, urlOf } from "./http-server.ts";
import { landingPath, type Place, PresignedUrls, Sessions, type SignIn } from "./presigned-urls.ts";
import { expiredPage, signInPage } from "./sign-in-page.ts";

/** Signs browsers in by presigned URLs, and turns away those without a session. */
export class BrowserAccess {
  private readonly presignedUrls = new PresignedUrls();
  private readonly sessions = new Sessions();
  private readonly log: Log;
  private readonly appHostUrl: () => string;

  constructor(log: Log, appHostUrl: () => string) {
    this.log = log;
    this.appHostUrl = appHostUrl;
  }

  /** Creates a link; returns its path and query string. */
  issue(signIn: SignIn): string {
    return this.presignedUrls.issue(signIn);
  }

  /** The session of a request for a place (default: Studio, in any domain). */
  sessionOf({ headers }: IncomingMessage, place?: Place): SignIn | undefined {
    return this.sessions.sessionOf(headers.cookie, place);
  }

  /** What the gateway of a space does with requests before it forwards them. */
  ofSpace(place: Place): Pick<GatewayProps, "intercept" | "admit"> {
    const isSignedIn = (incoming: IncomingMessage) => this.sessionOf(incoming, place) !== undefined;
    return {
      // The presigned URL of a space is a URL of its gateway.
      intercept: (incoming, response) => {
        const isSignIn = incoming.url?.split("?")[0] === "/auth";
        if (isSignIn) this.signIn(incoming, response);
        else if (!isSignedIn(incoming)) this.askToSignIn(incoming, response);
        else if (!/^(GET|HEAD|OPTIONS)$/.test(incoming.method ?? "")) requireSameOrigin(incoming);
        return response.writableEnded;
      },
      admit: (incoming) => {
        if (!isSignedIn(incoming)) throw new HttpError(403, "You are not signed in to this space.");
        requireSameOrigin(incoming);
      },
    };
  }

  signIn(incoming: IncomingMessage, response: ServerResponse): void {
    const signIn = this.presignedUrls.redeem(urlOf(incoming));
    if (signIn === undefined) {
      this.log(`403 ${incoming.method} /auth: the link is not valid or has expired`);
      forbid(response, expiredPage);
      return;
    }
    const location = signIn.spaceName
      ? landingPath(signIn.landingUri)
      : `/studio/${signIn.domainId}/${signIn.userProfileName}`;
    redirect(response, location, this.sessions.start(signIn));
  }

  /** Answers browsers with a page, and programs with the reason. */
  askToSignIn(incoming: IncomingMessage, response: ServerResponse): void {
    if (!/\btext\/html\b/.test(incoming.headers.accept ?? ""))
      throw new HttpError(403, "You are not signed in.");
    this.log(`403 ${incoming.method} ${JSON.stringify(incoming.url?.split("?")[0])}: not signed in`);
    forbid(response, signInPage(`${this.appHostUrl()}/studio/`));
  }
}

/** All ports of a host are the same site, so `SameSite` does not block the cookies of a page on another port. */
function requireSameOrigin(incoming: IncomingMessage): void {
  if (isSameOrigin(incoming)) return;
  throw new HttpError(
    403,
    `The Origin header must be the origin of this space, not ${JSON.stringify(incoming.headers.origin)}.`,
  );
}

function redirect(response: ServerResponse, location: string, cookie: string): void {
  // Keeps the token of the link out of `Referer` headers.
  response.writeHead(302, {
    location,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "set-cookie": cookie,
  });
  response.end();
}

function forbid(response: ServerResponse, page: string): void {
  response.writeHead(403, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
  response.end(page);
}
