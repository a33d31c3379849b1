import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "../../src/cli/paths.ts";
import { printedJson } from "./aws-python.ts";

/** The output of `sagemaker_model.py`. */
export interface SageMakerModel {
  /** botocore's version. */
  readonly botocore: string;
  readonly appInstanceTypes: readonly string[];
  readonly endpointInstanceTypes: readonly string[];
  readonly processingInstanceTypes: readonly string[];
  /** By partition, such as `aws-cn`. */
  readonly regions: Readonly<Record<string, readonly string[]>>;
  readonly limits: Readonly<Record<string, unknown>>;
}

const listsFile = join(projectFolder, "src/settings/reference/sagemaker-lists.ts");
/** `marimo-job` reads it too: the image's botocore is older than the project's. */
const instancesFile = join(projectFolder, "src/space/payload/python/sagemaker_marimo/jobs/instances.json");

/** The files that `npm run refresh` writes, with their texts. */
export const refreshedFiles = (model: SageMakerModel): readonly (readonly [string, string])[] => [
  [listsFile, listsText(model)],
  [instancesFile, instancesText(model)],
];

/** Reads the service model from the botocore version that the local AWS's lock file pins. */
export const sagemakerModel = async () =>
  (await printedJson("sagemaker_model.py", {
    what: "botocore's service model of SageMaker",
    remedy: "update scripts/refresh/sagemaker_model.py for the new names in botocore's data",
  })) as SageMakerModel;

/** `ProcessingInstanceType` of the SageMaker API, as sizes by family. The patterns in the file are kept. */
function instancesText(model: SageMakerModel): string {
  const current = JSON.parse(readFileSync(instancesFile, "utf8")) as object;
  const sizes = Object.fromEntries(sizesByFamily(model.processingInstanceTypes));
  return `${JSON.stringify({ ...current, sizes }, undefined, 2)}\n`;
}

/** The text of `listsFile`, formatted like Biome's output. */
function listsText(model: SageMakerModel): string {
  const apps = model.appInstanceTypes.filter((type) => type !== "system");
  return `// Written by \`npm run refresh\` from botocore ${model.botocore}. Do not edit.

export const botocoreVersion = "${model.botocore}";

/**
 * \`AppInstanceType\` of the SageMaker API, as sizes by family, without \`system\`: JupyterLab spaces cannot run on it.
 */
export const appInstanceSizes = {
${sizesByFamily(apps)
  .map(([family, sizes]) => `  ${key(family)}: "${sizes}",`)
  .join("\n")}
} as const;

/** \`ProductionVariantInstanceType\` of the SageMaker API, as sizes by family. */
export const endpointInstanceSizes = {
${sizesByFamily(model.endpointInstanceTypes)
  .map(([family, sizes]) => `  ${key(family)}: "${sizes}",`)
  .join("\n")}
} as const;

/** Regions with an endpoint of the SageMaker API, by partition. */
export const regionsByPartition = {
${Object.entries(model.regions)
  .map(([partition, regions]) => `  ${key(partition)}: ${list(regions)},`)
  .join("\n")}
} as const;
`;
}

function sizesByFamily(types: readonly string[]): readonly (readonly [string, string])[] {
  const families = new Map<string, string[]>();
  for (const type of types) {
    const [, family, size] = /^ml\.([a-z0-9-]+)\.([a-z0-9-]+)$/.exec(type) ?? [];
    if (family === undefined || size === undefined)
      throw new Error(`"${type}" does not have the form "ml.FAMILY.SIZE"`);
    families.set(family, [...(families.get(family) ?? []), size]);
  }
  return [...families].map(([family, sizes]) => [family, sizes.join(" ")] as const);
}

const key = (name: string) => (/^[a-z][a-z0-9]*$/.test(name) ? name : `"${name}"`);

function list(values: readonly string[]): string {
  const quoted = values.map((value) => `"${value}"`);
  const line = `[${quoted.join(", ")}]`;
  return line.length < 80 ? line : `[\n${quoted.map((value) => `    ${value},\n`).join("")}  ]`;
}
