import { homeBackupVariable } from "../../settings/names.ts";
import { after, before, changesOf, type Plan, type ResourceChange, text } from "../plan.ts";
import type { Rule } from "./rule.ts";

const setting = new RegExp(`^${homeBackupVariable}=(.*)$`, "m");
const backup = (values: Readonly<Record<string, unknown>>): string | undefined =>
  setting.exec(text(values.content) ?? "")?.[1];

/** The setting `homeBackup` before and after, as the payload has it. Undefined: spaces make no backups. */
export const homeBackupsOf = (one: ResourceChange) =>
  one.type === "aws_s3_object" ? { old: backup(before(one)), now: backup(after(one)) } : {};

/** Spaces that back up less than before, or nothing. */
export const homeBackupRule: Rule = {
  name: "less-backup",
  title: "Homes of spaces are backed up less",
  find: (plan: Plan) =>
    changesOf(plan).flatMap((about) => {
      const { old, now } = homeBackupsOf(about);
      // With the payload itself removed, the environment goes, which has risks of its own.
      if (old === undefined || about.change.after === null) return [];
      const reason = now === undefined ? "Spaces make no backups any more." : less(old, now);
      return reason === undefined
        ? []
        : [
            {
              about,
              reason: `${reason} Backups that exist stay, and spaces follow from their next start.`,
              instead:
                "undo the change of `homeBackup`, or tell people to run `marimo-backup now` in their spaces",
            },
          ];
    }),
};

interface Settings {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly maximumSizeGb: number;
}

function less(before: string, after: string): string | undefined {
  const [old, now] = [before, after].map((one) => JSON.parse(one) as Settings) as [Settings, Settings];
  const excluded = now.exclude.filter((one) => !old.exclude.includes(one));
  const isNarrower =
    now.include.length > 0 &&
    (old.include.length === 0 || old.include.some((one) => !now.include.includes(one)));
  const reasons = [
    now.maximumSizeGb < old.maximumSizeGb &&
      `at most ${now.maximumSizeGb} GB of a home instead of ${old.maximumSizeGb} GB`,
    isNarrower && `only ${now.include.join(", ")}`,
    excluded.length > 0 && `without ${excluded.join(", ")} as well`,
  ].filter((reason) => reason !== false);
  return reasons.length === 0
    ? undefined
    : `Backups have ${reasons.join("; ")}. The next backup deletes from the bucket what is left out.`;
}
