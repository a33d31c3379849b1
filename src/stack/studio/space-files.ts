import { fileURLToPath } from "node:url";

const pathTo = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** What of this project runs in the spaces: the sources of `Payload` and `LifecycleConfiguration`. */
export const spaceFiles = {
  payload: pathTo("../../space/payload/"),
  sampleNotebooks: pathTo("../../../sample-notebooks/"),
  startScript: [pathTo("../../space/payload/image.sh"), pathTo("../../space/on-start.sh")],
} as const;
