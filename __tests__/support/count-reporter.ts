import { writeFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";
import type { Reporter, SerializedError, TestModule } from "vitest/node";

export interface TestCounts {
  readonly passed: number;
  /** A line each: the test and the first line of its error. */
  readonly failures: readonly string[];
  readonly files: readonly { readonly file: string; readonly seconds: number }[];
}

/**
 * Writes the number of passed tests, the failures and the duration of each file to `TEST_COUNTS_FILE`, or prints
 * `N passed, N failed`. A file that cannot be loaded, a `describe` whose hooks fail and an error outside of a test
 * count as failed.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const passed = tests.filter((test) => test.result().state === "passed").length;
    const failures = [
      ...tests.flatMap((test) =>
        test.result().state === "failed"
          ? [failure(`${test.module.relativeModuleId} > ${test.fullName}`, test.result().errors)]
          : [],
      ),
      ...modules
        .flatMap((module) => [module, ...module.children.allSuites()].map((one) => ({ module, one })))
        .filter(({ one }) => one.errors().length > 0)
        .map(({ module, one }) =>
          failure([module.relativeModuleId, "fullName" in one ? one.fullName : ""].join(" "), one.errors()),
        ),
      ...unhandledErrors.map((error) => failure("outside of the tests", [error])),
    ];
    const files = modules.map((module) => {
      const { collectDuration, duration, setupDuration } = module.diagnostic();
      return { file: module.relativeModuleId, seconds: (collectDuration + duration + setupDuration) / 1000 };
    });
    const counts: TestCounts = { passed, failures, files };
    const { TEST_COUNTS_FILE } = process.env;
    if (TEST_COUNTS_FILE) writeFileSync(TEST_COUNTS_FILE, JSON.stringify(counts));
    else console.log(`${passed} passed, ${failures.length} failed`);
  }
}

function failure(where: string, errors: readonly SerializedError[] = []): string {
  const [error] = errors;
  const [message = ""] = stripVTControlCharacters(error?.message ?? "").split("\n");
  const stack = where.startsWith("__tests__/")
    ? ""
    : (error?.stack ?? "").split("\n").slice(0, 6).join(" | ");
  return [where, message, stack].filter(Boolean).join(": ");
}
