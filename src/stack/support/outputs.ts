/** Description and value of each Terraform output, by name. */
export type Outputs = Readonly<Record<string, readonly [description: string, value: unknown]>>;
