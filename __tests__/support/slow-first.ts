import { BaseSequencer, type TestSpecification } from "vitest/node";
import { quickFiles, slowFiles } from "../suites.ts";

const first = [...quickFiles, ...slowFiles];

const rank = ({ moduleId }: TestSpecification) => {
  const index = first.findIndex((file) => moduleId.endsWith(file));
  return index === -1 ? first.length : index;
};

/** Starts the slow files in `suites.ts` first. The other files keep vitest's order. */
export default class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rank(a) - rank(b));
  }

  /** Deals the files out in turn, the slow ones first, so that the parts take about as long as each other. */
  override async shard(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { index, count } = this.ctx.config.shard ?? { index: 1, count: 1 };
    const byPath = [...files].sort((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
    return byPath.sort((a, b) => rank(a) - rank(b)).filter((_, place) => place % count === index - 1);
  }
}
