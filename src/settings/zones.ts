import { type Check, isList, isString, quote } from "./problems.ts";
import { isRegion } from "./regions.ts";
import { defaults } from "./resolve.ts";

export const checkZones: Check = (value, report, settings) => {
  const region = settings.region ?? defaults.region;
  const example = isRegion(region) ? `, such as ["${region}a", "${region}b"]` : "";
  const rule = {
    allowed: `two different availability zones of the environment's region${example}`,
    source: 'Amazon EC2 User Guide, "Availability Zones"',
  };
  if (!isList(value, report, rule)) return;
  if (value.length !== 2) report(value, `lists ${value.length}, not two`, rule);

  const seen = new Set<string>();
  for (const [index, zone] of value.entries()) {
    const at = `[${index}]`;
    if (!isString(zone, report, rule, at)) continue;
    if (seen.has(zone)) report(zone, "is listed twice", rule, at);
    else if (/^[a-z]+[0-9]+-az[0-9]+$/.test(zone))
      report(zone, "is the ID of a zone, not its name", rule, at);
    else if (/^[a-z]+(-[a-z]+)+-[0-9]+-.*-[0-9]+[a-z]?$/.test(zone))
      // Local and Wavelength Zones: us-east-1-bos-1a, us-east-1-wl1-bos-wlz-1.
      report(zone, "is a local zone, where Studio cannot run", rule, at);
    else if (isRegion(region) && !(zone.startsWith(region) && /^[a-z]$/.test(zone.slice(region.length))))
      report(zone, `is no zone of ${quote(region)}`, rule, at);
    else if (!/^[a-z]+(-[a-z]+)+-[0-9]+[a-z]$/.test(zone)) report(zone, "is no name of a zone", rule, at);
    seen.add(zone);
  }
};
