import tested from "../space/payload/python/sagemaker_marimo/tested_versions.json" with { type: "json" };
import { basicDefaults } from "./basics.ts";
import { codeArtifactRepository, isCodeArtifact } from "./code-artifact.ts";
import { type Check, type Checks, checkBoolean, isList, isString, oneOf, type Resolved } from "./problems.ts";
import { isRegion } from "./reference/regions.ts";

/** How the browser keeps in touch with marimo's kernel. */
export const transports = ["auto", "sse", "polling", "websocket"] as const;
export type Transport = (typeof transports)[number];

/** marimo in the spaces. */
export interface MarimoSettings {
  /**
   * Version of marimo in the spaces. Run `npm run lock` after a change.
   * Limit: an exact release, 0.23.14 or later: the first that can serve its kernel by server-sent events, which pass
   * Studio's gateway.
   * @default "0.25.2"
   */
  readonly marimoVersion?: string;

  /**
   * Python packages for marimo's kernels, in addition to the image's. Run `npm run lock` after a change.
   * Limit: PEP 508 requirements, each pinned with `==`.
   * @default none
   */
  readonly extraPackages?: readonly string[];

  /**
   * Package index (PEP 503) that spaces install from instead of PyPI. It must serve identical files: the lock file's
   * hashes are checked. For AWS CodeArtifact, the execution role gets access and spaces request a token when they
   * install. For any other index, users keep credentials in `~/.netrc`, which uv and pip read; marimo's package panel
   * always needs that file. Spaces without an index take packages from the bucket: see `npm run wheelhouse`.
   * Limit: https, without a user name and password, which every space could read in the bucket.
   * @default PyPI
   */
  readonly packageIndexUrl?: string;

  /**
   * How the browser connects to marimo's kernel: server-sent events (`sse`), repeated requests (`polling`), marimo's
   * own WebSocket (`websocket`, which Studio's gateway is reported to break), or events with a fallback to requests
   * (`auto`).
   * Limit: `auto`, `sse`, `polling` or `websocket`.
   * @default "auto"
   */
  readonly transport?: Transport;

  /**
   * Whether each space gets the sample notebooks in `~/marimo-notebooks`.
   * @default true
   */
  readonly sampleNotebooks?: boolean;

  /**
   * Folder in `~/marimo-notebooks` whose notebooks each space offers as apps, in a gallery that the launcher tile
   * **marimo apps** opens.
   * Limit: the name of one folder, up to 64 characters.
   * @default no gallery
   */
  readonly appsFolder?: string;

  /**
   * Whether a notebook's cells run when it is opened. If not, people see the results of last time at once, from marimo's
   * session cache, and run the cells themselves. Each person can choose otherwise in marimo's settings. A link on
   * another website never runs cells, unless `transport` is `websocket`: then marimo's page is served unchanged.
   * @default false
   */
  readonly runOnOpen?: boolean;
}

export type ResolvedMarimo = Resolved<MarimoSettings, "packageIndexUrl" | "appsFolder">;

export const marimoDefaults = {
  marimoVersion: tested.marimo,
  extraPackages: [],
  transport: "auto",
  sampleNotebooks: true,
  runOnOpen: false,
} as const;

export const resolveMarimo = (settings: MarimoSettings): ResolvedMarimo => ({
  marimoVersion: settings.marimoVersion ?? marimoDefaults.marimoVersion,
  extraPackages: settings.extraPackages ?? marimoDefaults.extraPackages,
  packageIndexUrl: settings.packageIndexUrl,
  transport: settings.transport ?? marimoDefaults.transport,
  sampleNotebooks: settings.sampleNotebooks ?? marimoDefaults.sampleNotebooks,
  appsFolder: settings.appsFolder,
  runOnOpen: settings.runOnOpen ?? marimoDefaults.runOnOpen,
});

/** The first marimo that serves its kernel over server-sent events (`MARIMO_SERVER_TRANSPORT=sse`). */
const firstWithSse = [0, 23, 14] as const;

const versionRule = {
  allowed: `an exact release, ${firstWithSse.join(".")} or later, such as "${marimoDefaults.marimoVersion}"`,
  source: "marimo's releases: the first that serves server-sent events, which pass Studio's gateway",
};

const numbersOf = (release: string): readonly number[] | undefined =>
  /^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$/.exec(release)?.slice(1).map(Number);

const isOlder = (one: readonly number[], other: readonly number[]): boolean =>
  (one.map((part, index) => part - (other[index] ?? 0)).find((difference) => difference !== 0) ?? 0) < 0;

const checkMarimoVersion: Check = (value, report) => {
  if (!isString(value, report, versionRule)) return;
  const numbers = numbersOf(value);
  if (!numbers) return report(value, "is not an exact release", versionRule);
  if (isOlder(numbers, firstWithSse))
    report(value, "cannot serve its kernel over server-sent events", versionRule);
};

/** A warning about a version of marimo that is newer than the one that this project was tested with. */
export function untestedVersionWarning({
  name,
  marimoVersion,
}: {
  readonly name: string;
  readonly marimoVersion: string;
}): string | undefined {
  if (!isOlder(numbersOf(tested.marimo) ?? [], numbersOf(marimoVersion) ?? [])) return undefined;
  return (
    `warning: ${name}: marimoVersion "${marimoVersion}" is newer than ${tested.marimo}, which this project was tested ` +
    "with: run `npm run test:space`, `npm run test:browser` and `npm run test:compat` before people use it"
  );
}

const indexRule = {
  allowed:
    'an address such as "https://pypi.example.com/simple", without a name and password, query or fragment',
  source: "PEP 503; it is written into the payload, which every space can read",
};

const codeArtifactRule = {
  allowed: '"https://DOMAIN-ACCOUNT.d.codeartifact.REGION.amazonaws.com/pypi/REPOSITORY/simple/"',
  source: 'AWS CodeArtifact User Guide, "Configure and use pip with CodeArtifact"',
};

const checkPackageIndexUrl: Check = (value, report, settings) => {
  if (!isString(value, report, indexRule)) return;
  // No character that a shell or a line of settings.env would take for its own.
  const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
  const address = new RegExp(`^https://${label}(?:\\.${label})*(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%+-]+)*/?$`);
  if (!value.startsWith("https://")) report(value, "is not an https address", indexRule);
  else if (!address.test(value)) report(value, "is not a valid package index address", indexRule);
  else if (isCodeArtifact(value)) {
    const region = settings.region ?? basicDefaults.region;
    const repository = codeArtifactRepository(value);
    if (!repository) report(value, "names no repository of CodeArtifact", codeArtifactRule);
    else if (settings.egress === "endpoints-only" && isRegion(region) && repository.region !== region) {
      report(value, `is in ${repository.region}, where the endpoints of ${region} do not lead`, {
        allowed: 'a repository in the environment\'s own region beside egress: "endpoints-only"',
        source: 'AWS CodeArtifact User Guide, "Create VPC endpoints for CodeArtifact"',
      });
    }
  }
};

const packageRule = {
  allowed: `a pinned requirement, name[extras]==version, such as 'polars==1.30.0; python_version >= "3.12"'`,
  source: "PEP 508; the list becomes a requirements file",
};
const marimoRule = {
  allowed: "any package but marimo, whose version is the setting marimoVersion",
  source: "src/settings/marimo.ts",
};
const onceRule = {
  allowed: "each package once; names are the same whatever their case and - _ .",
  source: 'Python Packaging User Guide, "Names and normalization"',
};

const nameOf = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?";
const requirement = new RegExp(
  `^(${nameOf})(?: ?\\[ ?${nameOf}(?: ?, ?${nameOf})* ?\\])? ?== ?([^ ;]+)(?: ?; ?(.+))?$`,
);
/** PEP 440, appendix B, without the leading "v". */
const version =
  /^(\d+!)?\d+(\.\d+)*([-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?\d*)?(-\d+|[-_.]?(post|rev|r)[-_.]?\d*)?([-_.]?dev[-_.]?\d*)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?$/i;

const checkExtraPackages: Check = (value, report) => {
  const listRule = { ...packageRule, allowed: `a list of strings, each ${packageRule.allowed}` };
  if (!isList(value, report, listRule)) return;
  const seen = new Map<string, number>();
  for (const [index, text] of value.entries()) {
    const at = `[${index}]`;
    if (!isString(text, report, packageRule, at)) continue;
    const problem = problemOf(text);
    if (problem) {
      report(text, problem, packageRule, at);
      continue;
    }
    // Normalized as PEP 503 does. marimo-base is marimo without its extras, in the same folder.
    const name = (requirement.exec(text)?.[1] ?? "").replace(/[-_.]+/g, "-").toLowerCase();
    const earlier = seen.get(name);
    if (name === "marimo" || name === "marimo-base") report(text, "is marimo itself", marimoRule, at);
    else if (earlier !== undefined)
      report(text, `is the package of extraPackages[${earlier}] again`, onceRule, at);
    else seen.set(name, index);
  }
};

function problemOf(text: string): string | undefined {
  if (text.startsWith("-")) return "is an option of pip";
  if (text.includes("://") || / ?@/.test(text)) return "is a URL or a path";
  const [, , pinned, marker] = requirement.exec(text) ?? [];
  if (pinned === undefined) {
    return new RegExp(`^${nameOf}( ?\\[[^\\]]*\\])? ?($|[;<>~!(])`).test(text)
      ? "is not pinned with =="
      : "is not a valid requirement";
  }
  if (!version.test(pinned)) return "is not pinned to one version";
  if (marker !== undefined && !isMarker(marker)) return "has no valid environment marker";
  return undefined;
}

const markerTokens = [
  [
    /^(python_version|python_full_version|os_name|sys_platform|platform_(release|system|version|machine|python_implementation)|implementation_(name|version))\b/,
    "v",
  ],
  // No quote, backslash, `$` or other character that a shell would take for its own.
  [/^('[A-Za-z0-9 ._+*-]*'|"[A-Za-z0-9 ._+*-]*")/, "s"],
  [/^(<=|<|!=|===|==|>=|>|~=|in\b|not +in\b)/, "="],
  [/^(and|or)\b/, "&"],
  [/^\(/, "("],
  [/^\)/, ")"],
] as const;

/** Whether the text is an environment marker: comparisons of a variable, joined by and, or and parentheses. */
function isMarker(text: string): boolean {
  let shape = "";
  for (let rest = text.trim(); rest !== ""; ) {
    const token = markerTokens.find(([pattern]) => pattern.test(rest));
    if (!token) return false;
    rest = rest.replace(token[0], "").trimStart();
    shape += token[1];
  }
  // c: a comparison. Joined and unwrapped until nothing changes, a marker is one comparison.
  shape = shape.replaceAll(/v=[vs]|s=v/g, "c");
  for (let before = ""; before !== shape; ) {
    before = shape;
    shape = shape.replaceAll(/\(c\)|c(&c)+/g, "c");
  }
  return shape === "c";
}

const appsFolderRule = {
  allowed: 'the name of one folder, of letters, digits, ".", "_" and "-", such as "apps"',
  source: "src/settings/marimo.ts; it is a line of settings.env and part of a path in each space",
};

const checkAppsFolder: Check = (value, report) => {
  if (!isString(value, report, appsFolderRule)) return;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value))
    report(value, "is not a valid folder name", appsFolderRule);
};

export const marimoChecks: Checks<MarimoSettings> = {
  marimoVersion: checkMarimoVersion,
  extraPackages: checkExtraPackages,
  packageIndexUrl: checkPackageIndexUrl,
  transport: oneOf(transports, "src/settings/marimo.ts"),
  sampleNotebooks: checkBoolean,
  appsFolder: checkAppsFolder,
  runOnOpen: checkBoolean,
};
