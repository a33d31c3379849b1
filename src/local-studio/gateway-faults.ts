/**
 * What a gateway does to the traffic of one space. Reported: marimo-team/marimo#8060 and #10276,
 * marimo-team/marimo-jupyter-extension#8; nobody measured it on AWS, and buffering and compression are guesses.
 */
export interface GatewayFaults {
  /** WebSocket upgrades lose their query string (reported of Studio). */
  readonly dropQuery?: boolean;
  /** Requests to what runs behind jupyter-server-proxy lose their cookies; JupyterLab's own keep them. */
  readonly dropCookies?: boolean;
  /** WebSockets of what runs behind jupyter-server-proxy are closed without a closing handshake (code 1006). */
  readonly closeWebSockets?: boolean;
  /** The space's server gets its own address as `Host`, as from a proxy that is not told to keep the browser's. */
  readonly rewriteHost?: boolean;
  /** Milliseconds without a byte in either direction after which a connection is cut (classic instances: 10-13 s). */
  readonly idleCut?: number;
  /** Bytes that a response must have before any of them are passed on. */
  readonly bufferBytes?: number;
  /** Responses are compressed on their way, flushed after each piece. */
  readonly gzip?: boolean;
}

const studio: GatewayFaults = { dropQuery: true, dropCookies: true };

export const gatewayProfiles = {
  none: { description: "a faultless gateway", faults: {} },
  "query-dropped": {
    description: "WebSocket upgrades lose their query string",
    faults: { dropQuery: true },
  },
  "websocket-closed": {
    description: "marimo's WebSockets are closed at once (1006)",
    faults: { closeWebSockets: true },
  },
  "cookies-dropped": {
    description: "marimo gets no cookies",
    faults: { dropCookies: true },
  },
  "idle-cut": {
    description: "idle connections are cut after 10 s",
    faults: { idleCut: 10_000 },
  },
  buffering: {
    description: "responses are passed on by 8 KiB",
    faults: { bufferBytes: 8192 },
  },
  gzip: {
    description: "responses are compressed on their way",
    faults: { gzip: true },
  },
  "reported-studio": {
    description: "Studio as reported: query and cookies dropped",
    faults: studio,
  },
  "reported-classic": {
    description: "a classic instance as reported: query and cookies dropped, idle connections cut",
    faults: { ...studio, idleCut: 10_000 },
  },
} as const satisfies Record<string, { description: string; faults: GatewayFaults }>;

export type GatewayProfile = keyof typeof gatewayProfiles;

export const gatewayProfileNames = Object.keys(gatewayProfiles) as GatewayProfile[];
export const defaultGatewayProfile: GatewayProfile = "reported-studio";

export function isGatewayProfile(name: string): name is GatewayProfile {
  return Object.hasOwn(gatewayProfiles, name);
}

/** Whether a path belongs to an application behind jupyter-server-proxy rather than to JupyterLab itself. */
export function isProxiedApplication(path: string): boolean {
  return /^\/jupyterlab\/default\/(marimo|proxy)(\/|\?|$)/.test(path);
}
