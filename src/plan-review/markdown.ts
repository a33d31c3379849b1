/** Longer values say no more in a review. */
const longest = 160;

/**
 * Text of a plan as Markdown's code: whatever stands in it, it cannot end its line, be a link, an image, HTML or a mention
 * of somebody, or move a terminal's cursor (CommonMark 0.31.2, "Code spans"; GitHub Flavored Markdown, "Tables").
 */
export function code(value: string): string {
  const short = value.length > longest ? `${value.slice(0, longest)}…` : value;
  // Control characters, line ends of every kind, and what turns the direction of text.
  const plain = short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\n" ? "⏎" : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
  if (plain === "") return '`""`';
  const ticks = "`".repeat(1 + Math.max(0, ...(plain.match(/`+/g) ?? []).map(({ length }) => length)));
  const space = plain.startsWith("`") || plain.endsWith("`") ? " " : "";
  return `${ticks}${space}${plain}${space}${ticks}`;
}

export const codes = (values: readonly string[]): string => values.map(code).join(", ");

/** The first of many, and how many more there are. */
export function some(values: readonly string[], most = 5): string {
  const rest = values.length - most;
  return rest > 0 ? `${values.slice(0, most).join("; ")}; and ${rest} more` : values.join("; ");
}

export const count = (number: number, noun: string, plural = `${noun}s`): string =>
  `${number} ${number === 1 ? noun : plural}`;
