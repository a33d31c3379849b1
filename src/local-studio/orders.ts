/** Returns the problems of a value. Each problem names the member. */
export type Check = (value: unknown, member: string) => readonly string[];

const must = (be: string, holds: (value: unknown) => boolean): Check => {
  return (value, member) => {
    if (holds(value)) return [];
    const found = value === undefined ? "missing" : JSON.stringify(value).slice(0, 100);
    return [`${member} is ${found}: it must be ${be}`];
  };
};
const matching = (shape: RegExp) => (value: unknown) => typeof value === "string" && shape.test(value);

const text = must("a string", (value) => typeof value === "string");
const number = must("a number above 0", (value) => typeof value === "number" && value > 0);
/** Names become parts of paths. SageMaker API: up to 63 letters, digits and hyphens, with hyphens only inside. */
const name = must(
  "a name of up to 63 letters, digits and hyphens, with hyphens only inside",
  matching(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/),
);
const region = must("an AWS Region", matching(/^[a-z0-9-]{1,63}$/));
const arn = must("an ARN", matching(/^arn:[\x21-\x7e]{1,2044}$/));
const base64 = must("base64", matching(/^[A-Za-z0-9+/=\s]*$/));
const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);

const optional =
  (check: Check): Check =>
  (value, member) =>
    value === undefined ? [] : check(value, member);

const list =
  (check: Check): Check =>
  (value, member) =>
    Array.isArray(value)
      ? value.flatMap((one, index) => check(one, `${member}[${index}]`))
      : must("a list", () => false)(value, member);

const object =
  (members: Readonly<Record<string, Check>>): Check =>
  (value, member) => {
    if (!isObject(value)) return must("an object", () => false)(value, member);
    const own = value as Readonly<Record<string, unknown>>;
    return Object.entries(members).flatMap(([key, check]) =>
      check(own[key], member ? `${member}.${key}` : key),
    );
  };

const texts: Check = (value, member) =>
  isObject(value)
    ? Object.entries(value as object).flatMap(([key, one]) => text(one, `${member}.${key}`))
    : must("an object", () => false)(value, member);

const flag = must("true or false", (value) => typeof value === "boolean");
const place = { uri: must("an S3 URI", matching(/^s3:\/\/./)), path: text };

export const appOrder = object({
  appArn: arn,
  domainId: name,
  spaceName: name,
  userProfileName: name,
  appType: text,
  appName: name,
  executionRole: arn,
  region,
  credentials: optional(texts),
  lifecycleConfigs: list(object({ name, content: base64 })),
});
export const appReference = object({ appArn: arn });
export const spaceReference = object({ domainId: name, spaceName: name });
export const signInOrder = object({
  domainId: name,
  userProfileName: name,
  spaceName: optional(name),
  landingUri: optional(text),
  expiresInSeconds: number,
  sessionExpirationInSeconds: number,
});
export const jobOrder = object({
  name,
  arn,
  region,
  credentials: optional(texts),
  command: list(text),
  environment: texts,
  seconds: number,
  hosts: list(object({ name, files: texts })),
  inputs: list(object({ ...place, optional: flag })),
  outputs: list(object({ ...place, when: text, archive: flag, keyId: optional(text) })),
  ownedByRoot: list(text),
  message: text,
});
export const jobReference = object({ arn });
