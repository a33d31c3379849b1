import { codeArtifactRepository, isCodeArtifact } from "./code-artifact.ts";
import { type Check, isList, isString } from "./problems.ts";
import { defaults } from "./resolve.ts";

/** The first marimo that serves its kernel over server-sent events (`MARIMO_SERVER_TRANSPORT=sse`). */
const firstWithSse = [0, 23, 14] as const;

const versionRule = {
  allowed: `an exact release, ${firstWithSse.join(".")} or later, such as "0.25.2"`,
  source: "marimo's releases: the first that serves server-sent events, which pass Studio's gateway",
};

export const checkMarimoVersion: Check = (value, report) => {
  if (!isString(value, report, versionRule)) return;
  const numbers = /^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$/
    .exec(value)
    ?.slice(1)
    .map(Number);
  if (!numbers) return report(value, "is no exact release", versionRule);
  const difference = firstWithSse
    .map((least, part) => (numbers[part] ?? 0) - least)
    .find((part) => part !== 0);
  if (difference !== undefined && difference < 0) {
    report(value, "cannot serve its kernel over server-sent events", versionRule);
  }
};

const indexRule = {
  allowed:
    'an address such as "https://pypi.example.com/simple", without a name and password, query or fragment',
  source: "PEP 503; it is written into the payload, which every space can read",
};

const codeArtifactRule = {
  allowed: '"https://DOMAIN-ACCOUNT.d.codeartifact.REGION.amazonaws.com/pypi/REPOSITORY/simple/"',
  source: 'AWS CodeArtifact User Guide, "Configure and use pip with CodeArtifact"',
};

export const checkPackageIndexUrl: Check = (value, report, settings) => {
  if (!isString(value, report, indexRule)) return;
  // No character that a shell or a line of settings.env would take for its own.
  const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
  const address = new RegExp(`^https://${label}(?:\\.${label})*(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%+-]+)*/?$`);
  if (!value.startsWith("https://")) report(value, "is no https address", indexRule);
  else if (!address.test(value)) report(value, "is no address of a package index", indexRule);
  else if (isCodeArtifact(value)) {
    const region = settings.region ?? defaults.region;
    const repository = codeArtifactRepository(value);
    if (!repository) report(value, "names no repository of CodeArtifact", codeArtifactRule);
    else if (settings.egress === "endpoints-only" && repository.region !== region) {
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
  source: "src/settings/types.ts",
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

export const checkExtraPackages: Check = (value, report) => {
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
      : "is no requirement";
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
