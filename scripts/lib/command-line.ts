export interface Option {
  /** What follows the flag in the help, such as `PROFILE`; without it the flag stands alone. */
  readonly value?: string;
  /** The values it takes; without it, any. */
  readonly among?: readonly string[];
  /** It may be given more than once: its value is a list then. */
  readonly repeated?: true;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

export type Values = Readonly<Record<string, string | true | readonly string[] | undefined>>;

export interface CommandLine {
  readonly values: Values;
  /** The word that is no option, such as `space` in `npm run bench -- space`. */
  readonly operand?: string;
  /** Everything that is wrong with it; empty when it is fine. */
  readonly problems: readonly string[];
}

/** Reads a command line, which may have one of `operands`, and finds all that is wrong with it at once. */
export function readCommandLine(
  args: readonly string[],
  options: Options,
  operands: readonly string[] = [],
): CommandLine {
  const values: Record<string, string | true | readonly string[]> = {};
  let operand: string | undefined;
  const problems: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? "";
    const [, name, attached] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    const option = name !== undefined && Object.hasOwn(options, name) ? options[name] : undefined;
    if (name === undefined && operands.includes(word) && operand === undefined) operand = word;
    else if (name === undefined && operands.length > 0) {
      const told = operand === undefined ? "" : `, after "${operand}"`;
      problems.push(`one of ${operands.join(", ")} is taken, got "${word}"${told}`);
    } else if (name === undefined) problems.push(`"${word}" is not understood`);
    else if (option === undefined) problems.push(`there is no option --${name}`);
    else if (option.value === undefined) {
      if (attached === undefined) values[name] = true;
      else problems.push(`--${name} takes no value, got "${attached}"`);
    } else {
      const next = args[index + 1]?.startsWith("--") ? undefined : args[index + 1];
      const value = attached ?? next;
      if (attached === undefined && next !== undefined) index += 1;
      if (value === undefined)
        problems.push(`--${name} wants a value: ${option.among?.join(", ") ?? option.value}`);
      else if (option.among && !option.among.includes(value)) {
        problems.push(`--${name} takes one of ${option.among.join(", ")}, got "${value}"`);
      } else if (option.repeated) values[name] = [...listOf(values[name]), value];
      else values[name] = value;
    }
  }
  return { values, problems, ...(operand === undefined ? {} : { operand }) };
}

/** The values of an option that may be given more than once. */
export const listOf = (value: Values[string]): readonly string[] => (Array.isArray(value) ? value : []);

/** The list of options in a command's help. */
export function optionsHelp(options: Options): string {
  const rows = Object.entries(options).map(
    ([name, { value, help }]) => [`--${name}${value ? ` ${value}` : ""}`, help] as const,
  );
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return rows
    .map(([flag, help]) => `  ${flag.padEnd(width)}  ${help.replaceAll("\n", `\n${" ".repeat(width + 4)}`)}`)
    .join("\n");
}
