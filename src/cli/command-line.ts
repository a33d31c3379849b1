export interface Option {
  /** Placeholder for the value in the help, such as `PROFILE`. Without it, the option takes no value. */
  readonly value?: string | undefined;
  /** The allowed values. @default any */
  readonly among?: readonly string[] | undefined;
  /** The file that defines the allowed values, for the error message. */
  readonly source?: string | undefined;
  /** The option can be repeated, and its value is a list. */
  readonly repeated?: true | undefined;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

export type Values = Readonly<Record<string, string | true | readonly string[] | undefined>>;

export interface CommandLine {
  readonly values: Values;
  /** The positional argument, such as `space` in `npm run bench -- space`. */
  readonly operand?: string | undefined;
  /** The word after it that can be anything, such as `ana` in `npm run people -- remove ana`. */
  readonly argument?: string | undefined;
  /** All errors of the command line. */
  readonly problems: readonly string[];
}

/**
 * Parses a command line with at most one of `operands`, and after it one word that can be anything if the command takes an
 * argument. Reports all errors at once.
 */
export function readCommandLine(
  args: readonly string[],
  options: Options,
  operands: readonly string[] = [],
  takesArgument = false,
): CommandLine {
  const values: Record<string, string | true | readonly string[]> = {};
  let operand: string | undefined;
  let argument: string | undefined;
  const problems: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? "";
    const [, name, attached] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    const option = name !== undefined && Object.hasOwn(options, name) ? options[name] : undefined;
    const isComplete = operand !== undefined || operands.length === 0;
    if (name === undefined && operands.includes(word) && operand === undefined) operand = word;
    else if (name === undefined && takesArgument && isComplete && argument === undefined) argument = word;
    else if (name === undefined && operands.length > 0 && !(takesArgument && isComplete)) {
      const after = operand === undefined ? "" : ` after "${operand}"`;
      problems.push(`expected one of ${operands.join(", ")}, got "${word}"${after}`);
    } else if (name === undefined) problems.push(`unexpected argument "${word}"${optionFor(word, options)}`);
    else if (option === undefined) problems.push(`unknown option --${name}`);
    else if (option.value === undefined) {
      if (attached === undefined) values[name] = true;
      else problems.push(`--${name} takes no value, got "${attached}"`);
    } else {
      const next = args[index + 1]?.startsWith("--") ? undefined : args[index + 1];
      const value = attached ?? next;
      if (attached === undefined && next !== undefined) index += 1;
      if (value === undefined)
        problems.push(`--${name} needs a value: ${option.among?.join(", ") ?? option.value}`);
      else if (option.among && !option.among.includes(value)) {
        const source = option.source === undefined ? "" : ` (${option.source})`;
        problems.push(`--${name} must be one of ${option.among.join(", ")}${source}, got "${value}"`);
      } else if (option.repeated) values[name] = [...listOf(values[name]), value];
      else values[name] = value;
    }
  }
  return { values, problems, operand, argument };
}

/** Names the option that takes this word as its value. */
function optionFor(word: string, options: Options): string {
  const [name] = Object.entries(options).find(([, { among }]) => among?.includes(word)) ?? [];
  return name === undefined ? "" : `, did you mean --${name} ${word}?`;
}

/** The values of a repeatable option. */
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
