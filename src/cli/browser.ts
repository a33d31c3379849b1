import { capture } from "./processes.ts";

/** Opens a page in the browser. Returns whether that worked: it cannot without a display, such as over SSH. */
export async function openInBrowser(url: string, env: NodeJS.ProcessEnv = process.env): Promise<boolean> {
  const isMac = process.platform === "darwin";
  if (!isMac && !env.DISPLAY && !env.WAYLAND_DISPLAY) return false;
  return (await capture(isMac ? "open" : "xdg-open", [url], { env }))?.status === 0;
}
