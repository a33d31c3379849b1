import { type CommandLine, type Options, readCommandLine, type Values } from "./command-line.ts";
import { exitStatusOf } from "./terminal.ts";

export interface Command {
  /** How to run it, such as `npm run lock`. */
  readonly name: string;
  readonly options: Options;
  /** The positional arguments, of which at most one can be given. @default none */
  readonly operands?: readonly string[] | undefined;
  /** Whether one more word can be given, of any content. @default no */
  readonly takesArgument?: boolean | undefined;
  readonly help: string;
  /** Additional checks. @default none */
  readonly problems?:
    | ((values: Values, line: CommandLine) => readonly string[] | Promise<readonly string[]>)
    | undefined;
  /** Resolves to the exit status. */
  readonly run: (
    values: Values,
    operand: string | undefined,
    argument: string | undefined,
  ) => Promise<number>;
}

/**
 * Runs a command with this process's arguments and sets the exit status. For an invalid command line, prints all its
 * errors, and the status is 2.
 */
export async function runCommand(command: Command): Promise<void> {
  process.exitCode = await exitStatusOf(async () => {
    const { options, operands, takesArgument } = command;
    const line = readCommandLine(process.argv.slice(2), options, operands, takesArgument);
    const { argument, operand, problems, values } = line;
    if (values.help) {
      console.log(command.help);
      return 0;
    }
    const all = [...problems, ...((await command.problems?.(values, line)) ?? [])];
    if (all.length === 0) return command.run(values, operand, argument);
    console.error([...all.map((problem) => `- ${problem}`), `See ${command.name} -- --help`].join("\n"));
    return 2;
  });
}
