import {
  type MapTerraformIterator,
  propertyAccess,
  TerraformIterator,
  TerraformLocal,
  type TerraformResource,
  Token,
} from "cdktf";

/**
 * An attribute of the instance with the same key as the resource that uses it. It is read from a local value, which
 * Terraform evaluates once: at each reference to one instance of a resource, Terraform evaluates all of them. With 1,000
 * users a first plan took three times as long (`npm run bench -- people`).
 */
export function attributeOfEach(
  resource: TerraformResource,
  attribute: string,
  { key }: MapTerraformIterator,
): string {
  const attributes = TerraformIterator.fromResources(resource).forExpressionForMap("key", `val.${attribute}`);
  const local = new TerraformLocal(resource, `${attribute}s`, attributes);
  return Token.asString(propertyAccess(local.fqn, [key]));
}
