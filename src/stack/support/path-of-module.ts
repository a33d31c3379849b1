import { ref, type TerraformStack, Token } from "cdktf";

/** Path of a file in the stack's own folder, wherever that is: for `file()`, `source` and provisioners. */
export function pathOfModule(stack: TerraformStack, path: string): string {
  return `${Token.asString(ref("path.module", stack))}/${path}`;
}
