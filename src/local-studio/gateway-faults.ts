/**
 * Faults that a gateway adds to the traffic of one space. Sources: marimo-team/marimo#8060 and #10276,
 * marimo-team/marimo-jupyter-extension#8. None of them was measured on AWS. Buffering and compression are guesses.
 */
export interface GatewayFaults {
  /** Removes the query string from WebSocket upgrades (reported for Studio). */
  readonly dropQuery?: boolean | undefined;
  /** Removes the cookies from requests to applications behind jupyter-server-proxy, not from those to JupyterLab. */
  readonly dropCookies?: boolean | undefined;
  /** Closes the WebSockets of applications behind jupyter-server-proxy without a closing handshake (code 1006). */
  readonly closeWebSockets?: boolean | undefined;
  /** Replaces the browser's `Host` header with the address of the space's server, as many proxies do by default. */
  readonly rewriteHost?: boolean | undefined;
  /** Closes a connection after this many milliseconds without traffic (classic instances: 10-13 s). */
  readonly idleCut?: number | undefined;
  /** Buffers this many bytes of a response before it forwards them. */
  readonly bufferBytes?: number | undefined;
  /** Compresses responses and flushes after each chunk. */
  readonly gzip?: boolean | undefined;
}

const studio: GatewayFaults = { dropQuery: true, dropCookies: true };

export const gatewayProfiles = {
  none: { description: "no faults", faults: {} },
  "query-dropped": {
    description: "removes the query string from WebSocket upgrades",
    faults: { dropQuery: true },
  },
  "websocket-closed": {
    description: "closes marimo's WebSockets immediately (code 1006)",
    faults: { closeWebSockets: true },
  },
  "cookies-dropped": {
    description: "removes the cookies from requests to marimo",
    faults: { dropCookies: true },
  },
  "idle-cut": {
    description: "closes idle connections after 10 s",
    faults: { idleCut: 10_000 },
  },
  buffering: {
    description: "buffers responses in blocks of 8 KiB",
    faults: { bufferBytes: 8192 },
  },
  gzip: {
    description: "compresses responses",
    faults: { gzip: true },
  },
  "reported-studio": {
    description: "Studio as reported: removes the query string and the cookies",
    faults: studio,
  },
  "reported-classic": {
    description: "classic instances as reported: like reported-studio, and closes idle connections",
    faults: { ...studio, idleCut: 10_000 },
  },
} as const satisfies Record<string, { description: string; faults: GatewayFaults }>;

export type GatewayProfile = keyof typeof gatewayProfiles;

export const gatewayProfileNames = Object.keys(gatewayProfiles) as GatewayProfile[];
export const defaultGatewayProfile: GatewayProfile = "reported-studio";

/** Whether a path belongs to an application behind jupyter-server-proxy rather than to JupyterLab itself. */
export function isProxiedApplication(path: string): boolean {
  return /^\/jupyterlab\/default\/(marimo|marimo-apps|proxy)(\/|\?|$)/.test(path);
}
