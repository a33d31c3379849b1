import { type Options, readCommandLine, type Values } from "./command-line.ts";
import { exitStatusOf } from "./terminal.ts";

export interface Command {
  /** As a person runs it: `npm run lock`. */
  readonly name: string;
  readonly options: Options;
  /** The words of which it takes one. @default none */
  readonly operands?: readonly string[];
  readonly help: string;
  /** What is wrong with the values, beyond what their options say. @default nothing */
  readonly problems?: (values: Values) => readonly string[];
  /** Exit status for a wrong command line. @default 2 */
  readonly usageStatus?: number;
  /** Resolves to the exit status. */
  readonly run: (values: Values, operand: string | undefined) => Promise<number>;
}

/** Runs a command with this process's arguments, to its exit status; of a wrong command line, all is told. */
export async function runCommand(command: Command): Promise<void> {
  process.exitCode = await exitStatusOf(async () => {
    const { options, operands } = command;
    const { values, operand, problems } = readCommandLine(process.argv.slice(2), options, operands);
    if (values.help) {
      console.log(command.help);
      return 0;
    }
    const wrong = [...problems, ...(command.problems?.(values) ?? [])];
    if (wrong.length === 0) return command.run(values, operand);
    console.error([...wrong.map((problem) => `- ${problem}`), `See ${command.name} -- --help`].join("\n"));
    return command.usageStatus ?? 2;
  });
}
