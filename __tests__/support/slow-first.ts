import { BaseSequencer, type TestSpecification } from "vitest/node";
import { quickFiles, slowFiles } from "../suites.ts";

const first = [...quickFiles, ...slowFiles];

/** Starts the slow files in `suites.ts` first. The other files keep vitest's order. */
export default class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification) => {
      const index = first.findIndex((file) => moduleId.endsWith(file));
      return index === -1 ? first.length : index;
    };
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}
