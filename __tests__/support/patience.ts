/** How many milliseconds a test waits for what must happen. A long time, which only a test that fails takes. */
export const patience = 240_000;
