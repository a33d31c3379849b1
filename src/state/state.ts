/** Name of the resource that keeps the account of an environment's state in that state. */
export const stateAccountName = "state_account";

/** The parts of a Terraform state that this project reads. */
export interface State {
  readonly lineage?: string;
  readonly serial?: number;
  readonly resources?: readonly StateResource[];
}

export interface StateResource {
  readonly mode: string;
  readonly type: string;
  readonly name?: string;
  readonly instances: readonly { readonly attributes?: Readonly<Record<string, unknown>> }[];
}

export const managedIn = ({ resources = [] }: State): readonly StateResource[] =>
  resources.filter(({ mode }) => mode === "managed");

export const countOf = (state: State): number =>
  managedIn(state).reduce((sum, { instances }) => sum + instances.length, 0);

/** The IDs of the managed resources, each also with its type, as in `aws_iam_role one`. */
export const idsIn = (state: State): ReadonlySet<string> =>
  new Set(
    managedIn(state).flatMap(({ type, instances }) =>
      instances
        .map(({ attributes }) => attributes?.id)
        .filter((id): id is string => typeof id === "string")
        .flatMap((id) => [id, `${type} ${id}`]),
    ),
  );

/** The account that a state belongs to (src/stack/support/state-account.ts). Undefined before its first apply. */
export function accountIn(state: State): string | undefined {
  const kept = managedIn(state).find(
    ({ name, type }) => type === "terraform_data" && name === stateAccountName,
  );
  const input = kept?.instances[0]?.attributes?.input as { readonly value?: unknown } | undefined;
  return typeof input?.value === "string" ? input.value : undefined;
}

/** Undefined if the text is not a whole state: a killed Terraform and a full disk leave parts of one. */
export function parsed(text: string): State | undefined {
  try {
    return JSON.parse(text) as State;
  } catch {
    return undefined;
  }
}
