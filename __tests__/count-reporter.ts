import type { Reporter, TestModule } from "vitest/node";

/**
 * Names what passed at its second try only, and closes a run with the one line `N passed, N failed` that .ci/run promises; a test file that
 * cannot load counts as failed, and so does a `describe` whose preparation fails.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const passed = tests.filter((test) => test.result().state === "passed").length;
    const failed =
      tests.filter((test) => test.result().state === "failed").length +
      modules
        .flatMap((module) => [module, ...module.children.allSuites()])
        .filter((one) => one.errors().length > 0).length;
    for (const test of tests.filter((one) => one.diagnostic()?.flaky)) {
      console.log(`passed at the second try: ${test.module.relativeModuleId} > ${test.fullName}`);
    }
    console.log(`${passed} passed, ${failed} failed`);
  }
}
