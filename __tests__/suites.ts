/** The folders of the tests that run real programs. `npm run test:NAME` runs the suite of a folder. */
export const suites = ["aws", "local-aws", "space", "browser", "compat", "commands"] as const;
export type Suite = (typeof suites)[number];

/** What `npm test` runs beside the unit tests: one test file for each promise, in less than 10 minutes on two cores. */
export const quickFiles = [
  // The longest first, so that the last minutes keep both cores busy.
  "browser/journey",
  "aws/deployment",
  "space/job",
  "aws/settings-random",
  "commands/pytest",
].map((name) => `__tests__/${name}.test.ts`);

/** Files that take minutes, the longest first. They start first, so that none of them is the last to run on its own. */
export const slowFiles = [
  "aws/quarter",
  "browser/gateway-profiles",
  "aws/rehearsal",
  "aws/plan",
  "aws/destroy",
  "compat/node-versions",
  "aws/interrupted",
  "browser/tutorials",
  "browser/absence",
  "aws/state",
  "browser/two-people",
  "browser/sample-notebooks",
  "aws/other-account",
  "aws/github-roles",
  "aws/iam",
  "aws/environments",
  "aws/existing",
  "browser/panels",
  "space/sweep",
  "browser/gateway-stock",
].map((name) => `__tests__/${name}.test.ts`);
