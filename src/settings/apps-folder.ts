import { type Check, isString } from "./problems.ts";

const rule = {
  allowed: 'the name of one folder, of letters, digits, ".", "_" and "-", such as "apps"',
  source: "src/settings/types.ts; it is a line of settings.env and part of a path in each space",
};

export const checkAppsFolder: Check = (value, report) => {
  if (!isString(value, report, rule)) return;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value)) report(value, "is no name of a folder", rule);
};
