import { TerraformElement, TerraformStack } from "cdktf";
import type { Node } from "constructs";

/**
 * A stack whose Terraform names are the paths of its constructs, such as `network_vpc`. cdktf appends a hash that keeps
 * names unique but means nothing to the reader of a plan. Here two equal names are an error instead.
 */
export class NamedStack extends TerraformStack {
  private readonly logicalIds = new Map<string, string>();

  protected override allocateLogicalId(element: TerraformElement | Node): string {
    const node = TerraformElement.isTerraformElement(element) ? element.node : element;
    const path = node.path;
    const ids = node.scopes.slice(node.scopes.indexOf(this) + 1).map((scope) => scope.node.id);
    const logicalId = ids.join("_");
    const owner = this.logicalIds.get(logicalId) ?? path;
    if (owner !== path) throw new Error(`"${owner}" and "${path}" would both be named "${logicalId}"`);
    this.logicalIds.set(logicalId, path);
    return logicalId;
  }
}
