import { median } from "../report.ts";
import { installed, type Setup, warmUp, withApp, withStandalone } from "./setup.ts";

const moves = 60;

/** Milliseconds from a move of the slider to its dependent cell. */
export interface SliderTimes {
  readonly ours: number;
  readonly standalone: number;
}

/** Alternates between the two, so that a slow phase of the machine affects both. */
export function timeSlider(setup: Setup): Promise<SliderTimes> {
  return withApp(setup, setup.ours, `${moves} moves of the slider, alternating`, (app, context) =>
    withStandalone(setup, `${moves} moves of the slider`, async (standalone, standaloneContext) => {
      const pages = { ours: await app.open(context), standalone: await standalone.open(standaloneContext) };
      await installed(app, setup.signal);
      const times = { ours: [] as number[], standalone: [] as number[] };
      for (let index = -warmUp; index < moves; index++) {
        setup.signal.throwIfAborted();
        const [ours, standalone] = [await pages.ours.move(), await pages.standalone.move()];
        if (index < 0) continue;
        times.ours.push(ours);
        times.standalone.push(standalone);
      }
      return { ours: median(times.ours), standalone: median(times.standalone) };
    }),
  );
}
