import { createHash } from "node:crypto";
import { basicDefaults, prefixOf } from "./basics.ts";
import {
  type Check,
  checkBoolean,
  checkKeys,
  isList,
  isRecord,
  isString,
  quote,
  type Report,
  type Untyped,
} from "./problems.ts";
import { checkImageUri } from "./processing.ts";
import { isRegion } from "./reference/regions.ts";

/** A custom image for JupyterLab spaces. */
export interface ImageSettings {
  /**
   * Name of the image in Studio. SageMaker knows it as `marimo-<environment>-<name>-<hash of imageUri>`.
   * Limit: lower-case letters, digits and single inner hyphens, 63 characters with prefix and hash (SageMaker API,
   * `ImageName`).
   */
  readonly name: string;
  /**
   * The image in Amazon ECR. Another address makes a new image of the same name in Studio: spaces that had the old one
   * must choose it again. Terraform does not notice an image that was pushed again under the same tag.
   * Limit: in the environment's Region (SageMaker Developer Guide, "Create a custom image and push to Amazon ECR").
   */
  readonly imageUri: string;
  /**
   * Whether the image is made for GPUs.
   * @default false
   */
  readonly gpu?: boolean;
}

export type ResolvedImage = Required<ImageSettings>;

export const resolveImage = ({ name, imageUri, gpu }: ImageSettings): ResolvedImage => ({
  name,
  imageUri,
  gpu: gpu ?? false,
});

/** SageMaker's name of an image's app image configuration. */
export const imageConfigName = (prefix: string, name: string) => `${prefix}-${name}`;

/**
 * SageMaker's name of an image: another one for each address, because provider 5.100 confuses the versions of one image
 * (hashicorp/terraform-provider-aws issue 40597, mended in provider 6).
 */
export const imageName = (prefix: string, { name, imageUri }: Pick<ImageSettings, "name" | "imageUri">) =>
  `${imageConfigName(prefix, name)}-${createHash("sha256").update(imageUri).digest("hex").slice(0, 8)}`;

export const imageNameRule = {
  allowed: "1 to 63 letters, digits and single inner hyphens",
  source: "SageMaker API, ImageName",
};
/** Lower case only, because SageMaker's ARNs are: ImageVersionArn has no other letters. */
export const isImageName = (name: string) => name.length <= 63 && /^[a-z0-9](-?[a-z0-9])*$/.test(name);

const listRule = {
  allowed: 'at most 200 images, such as [{ name: "geo", imageUri: "…/geo:1.0" }]',
  source: "SageMaker API, CustomImages",
};
const ownNameRule = {
  allowed: "a name of its own for each image in an account and Region",
  source: "SageMaker API, CreateImage",
};
const regionSource = 'SageMaker Developer Guide, "Create a custom image and push to Amazon ECR"';

function checkName(value: unknown, report: Report, settings: Untyped): void {
  const prefix = prefixOf(typeof settings.name === "string" ? settings.name : "");
  const around = imageName(prefix, { name: "", imageUri: "" }).length;
  const room = Math.max(0, 63 - around);
  const rule = {
    allowed: `1 to ${room} lower-case letters, digits and single inner hyphens`,
    source: `SageMaker API, ImageName: 63 characters, of which ${around} are a prefix and a hash`,
  };
  if (!isString(value, report, rule)) return;
  if (value.length > room) report(value, `has ${value.length} characters`, rule);
  else if (!isImageName(value)) report(value, "is not a valid image name", rule);
  else if (prefix.includes("--")) {
    report(value, `cannot follow ${quote(prefix)}, which has two hyphens in a row`, {
      allowed: "images in environments whose name has single hyphens only",
      source: "SageMaker API, ImageName",
    });
  }
}

function checkUri(value: unknown, report: Report, settings: Untyped): void {
  let valid = true;
  const note: Report = (...problem) => {
    valid = false;
    report(...problem);
  };
  checkImageUri(value, note, settings);
  const region = settings.region ?? basicDefaults.region;
  if (!valid || !isRegion(region)) return;
  const given = String(value).split(".")[3];
  if (given !== region) {
    report(value, `is in ${given}`, { allowed: `an image in ${quote(region)}`, source: regionSource });
  }
}

export const checkImages: Check = (value, report, settings) => {
  if (!isList(value, report, listRule)) return;
  if (value.length > 200) report(value, `lists ${value.length}`, listRule);
  const positions = new Map<unknown, number>();
  for (const [index, image] of value.entries()) {
    const at =
      (part: string): Report =>
      (given, problem, rule, within = "") =>
        report(given, problem, rule, `[${index}]${part}${within}`);
    if (!isRecord(image)) {
      at("")(image, "is not an image", listRule);
      continue;
    }
    checkKeys(image, ["name", "imageUri", "gpu"], at(""));
    checkName(image.name, at(".name"), settings);
    checkUri(image.imageUri, at(".imageUri"), settings);
    if (image.gpu !== undefined) checkBoolean(image.gpu, at(".gpu"), settings);
    const earlier = positions.get(image.name);
    if (earlier === undefined) positions.set(image.name, index);
    else if (typeof image.name === "string")
      at(".name")(image.name, `is a duplicate of images[${earlier}]`, ownNameRule);
  }
};
