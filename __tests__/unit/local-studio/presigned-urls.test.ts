import { beforeEach, describe, expect, it } from "vitest";
import { PresignedUrls, Sessions, type SignIn } from "../../../src/local-studio/presigned-urls.ts";

let now: number;
beforeEach(() => {
  now = 1_000_000;
});

const signIn = (more: Partial<SignIn> = {}): SignIn => ({
  domainId: "d-1",
  userProfileName: "ada",
  expiresInSeconds: 300,
  sessionExpirationInSeconds: 1800,
  ...more,
});

describe("a presigned URL", () => {
  it("expires after the requested time", () => {
    const urls = new PresignedUrls(() => now);
    const url = new URL(urls.issue(signIn()), "http://localhost");
    now += 299_999;
    expect(urls.redeem(url)).toMatchObject({ userProfileName: "ada" });
    now += 1;
    expect(urls.redeem(url)).toBeUndefined();
  });
});

describe("a session", () => {
  const cookie = (setCookie: string) => setCookie.split(";")[0] ?? "";

  it("is found by its cookie until it expires", () => {
    const sessions = new Sessions(() => now);
    const header = sessions.start(signIn());
    expect(header).toMatch(/; Max-Age=1800; Path=\/; HttpOnly; SameSite=Lax$/);
    now += 1_799_999;
    expect(sessions.sessionOf(`other=1; ${cookie(header)}`)).toMatchObject({ userProfileName: "ada" });
    now += 1;
    expect(sessions.sessionOf(cookie(header))).toBeUndefined();
  });

  it("is valid only for its own space, or for Studio", () => {
    const sessions = new Sessions();
    const studio = cookie(sessions.start(signIn()));
    const space = cookie(sessions.start(signIn({ spaceName: "Ada-1" })));
    const place = { domainId: "d-1", spaceName: "ada-1" };
    expect(sessions.sessionOf(space, place)).toBeDefined();
    expect(sessions.sessionOf(space)).toBeUndefined();
    expect(sessions.sessionOf(studio, place)).toBeUndefined();
    expect(sessions.sessionOf(space, { ...place, spaceName: "bo-1" })).toBeUndefined();
    expect(sessions.sessionOf(space, { ...place, domainId: "d-2" })).toBeUndefined();
    expect(sessions.sessionOf(studio, { domainId: "d-2" })).toBeUndefined();
  });

  it("has a different cookie for each space and for Studio", () => {
    const sessions = new Sessions();
    const places = [{}, { spaceName: "one" }, { spaceName: "two" }, { domainId: "d-2" }];
    const cookies = places.map((place) => cookie(sessions.start(signIn(place))));
    expect(new Set(cookies.map((one) => one.split("=")[0])).size).toBe(places.length);
    for (const place of places) expect(sessions.sessionOf(cookies.join("; "), place)).toBeDefined();
  });

  it.each([undefined, "", ";;=;", "local-studio.d-1=", "local-studio.d-1=guess", "__proto__=1"])(
    "is not found by the header %j",
    (header) => {
      const sessions = new Sessions();
      sessions.start(signIn());
      expect(sessions.sessionOf(header)).toBeUndefined();
    },
  );
});
