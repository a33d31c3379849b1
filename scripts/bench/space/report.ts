import { median, type Report, type Target, table } from "../report.ts";
import type { ManyNotebooks, NotebooksBySide } from "./many-notebooks.ts";
import { type Watcher, watcherSeconds } from "./resources.ts";
import { movesEach, notebooksAtOnce } from "./setup.ts";
import type { SliderTimes } from "./slider.ts";
import type { Start } from "./start.ts";

export interface Found {
  readonly cold: Readonly<Record<"ours" | "article", readonly Start[]>>;
  readonly warm: Readonly<Record<"ours" | "article", readonly Start[]>>;
  readonly slider: SliderTimes;
  readonly crowd: NotebooksBySide;
  readonly memory: Readonly<Record<"ours" | "article", number>>;
  readonly watcher: Watcher;
}

export function report(found: Found): Report {
  const { slider, crowd, memory, watcher } = found;
  const s = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
  const ms = (milliseconds: number) => `${milliseconds.toFixed(0)} ms`;
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const ratio = (a: number, b: number) => (a / b).toFixed(2);
  const starts = (["cold", "warm"] as const).flatMap((kind) =>
    (
      [
        ["blocking", "JupyterLab waits for the lifecycle script"],
        ["live", "app start to first live cell"],
      ] as const
    ).map(([what, name]) => {
      const [ours, article] = (["ours", "article"] as const).map((side) =>
        median(found[kind][side].map((start) => start[what])),
      ) as [number, number];
      return [`${name}, ${kind}`, s(ours), s(article), ratio(ours, article)];
    }),
  );
  const slowest = ({ moves }: ManyNotebooks) => moves.at(-1) ?? Number.NaN;
  const added = memory.ours - memory.article;
  const text = [
    "## Start of a space",
    "",
    "Our space is the one that cdktf and Terraform deployed to the local AWS. Its script calls S3 with the image's AWS CLI, for",
    "which the article's script needs no time because it has no bucket. Both install from the same index and cache downloads in",
    "the home folder. A cold start has an empty home. A warm start keeps the home and has a new /opt/conda. The benchmark starts",
    "the article's marimo and sets it to run cells automatically. Our page is opened through the reported gateway, and the",
    "article's through a gateway without faults.",
    "",
    table(["median", "ours", "article", "ours to article"], starts),
    "",
    "## Slider to dependent cell",
    "",
    "Measured in the page from the key to the changed text. Ours runs through the reported gateway. The reference is the same",
    "marimo, standalone on loopback with its own WebSocket. With one open notebook, the two alternate. With all open, the",
    `notebooks are moved in turn. Then each gets ${movesEach} quick keys, after which every page must show its last value.`,
    "",
    table(
      ["median", "ours", "standalone marimo", "ours to standalone"],
      [
        ["1 notebook", ms(slider.ours), ms(slider.standalone), ratio(slider.ours, slider.standalone)],
        [
          `slowest of ${notebooksAtOnce} notebooks`,
          `${ms(slowest(crowd.ours))} (${ratio(slowest(crowd.ours), slider.ours)} of one)`,
          `${ms(slowest(crowd.standalone))} (${ratio(slowest(crowd.standalone), slider.standalone)} of one)`,
          ratio(slowest(crowd.ours), slowest(crowd.standalone)),
        ],
        ["usable in one browser", String(crowd.ours.together), String(crowd.standalone.together), ""],
        ["last values not shown", String(crowd.ours.lost), String(crowd.standalone.lost), ""],
      ],
    ),
    "",
    "## Memory and processor",
    "",
    "Resident memory of JupyterLab with one open notebook. Our code (handler, streams, watcher) runs in this process and",
    `starts no other. The watcher is the difference of an idle space with and without it, for a check every ${watcherSeconds} s.`,
    "",
    table(
      ["", "ours", "article", "difference"],
      [
        ["JupyterLab", mib(memory.ours), mib(memory.article), mib(added)],
        ["watcher, per check", `${watcher.millisecondsPerLook.toFixed(1)} ms`, "", ""],
      ],
    ),
  ].join("\n");
  const targets: readonly Target[] = [
    {
      target: "JupyterLab waits less than 1 s for our script in a warm start",
      value: median(found.warm.ours.map(({ blocking }) => blocking)) / 1000,
      limit: 1,
    },
    {
      target: "slider within 1.25x of standalone marimo",
      value: slider.ours / slider.standalone,
      limit: 1.25,
    },
    {
      target: `slowest of ${notebooksAtOnce} notebooks under 3x of one notebook`,
      value: slowest(crowd.ours) / slider.ours,
      limit: 3,
    },
    {
      target: `no unusable notebooks of ${notebooksAtOnce} in one browser`,
      value: notebooksAtOnce - crowd.ours.together,
      limit: 1,
    },
    { target: "no lost updates", value: crowd.ours.lost, limit: 1 },
    { target: "watcher under 1 % of one core", value: watcher.percentOfCore, limit: 1 },
    { target: "memory that we add, with the watcher, under 40 MiB", value: added / 2 ** 20, limit: 40 },
  ];
  return { text, targets, results: found };
}
