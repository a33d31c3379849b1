/** Most characters shown of a value. */
export const longest = 160;

/**
 * A value of a plan as a Markdown code span. Escapes it so that it cannot end its line, become a link, an image, HTML
 * or a mention, or move a terminal's cursor (CommonMark 0.31.2, "Code spans"; GitHub Flavored Markdown, "Tables").
 */
export function code(value: string): string {
  const short = value.length > longest ? `${value.slice(0, longest)}…` : value;
  // Control characters, line separators and characters that change the text direction.
  const plain = short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\n" ? "⏎" : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
  if (plain === "") return '`""`';
  const ticks = "`".repeat(1 + Math.max(0, ...(plain.match(/`+/g) ?? []).map(({ length }) => length)));
  const space = plain.startsWith("`") || plain.endsWith("`") ? " " : "";
  return `${ticks}${space}${plain}${space}${ticks}`;
}

export const codes = (values: readonly string[]): string => values.map(code).join(", ");

/** Joins the first `most` values and counts the rest. */
export function joinFirst(values: readonly string[], most = 5): string {
  const rest = values.length - most;
  return rest > 0 ? `${values.slice(0, most).join("; ")}; and ${rest} more` : values.join("; ");
}

/** Of the words before "of". "Settings" is a plural. */
const pluralOf = (noun: string): string =>
  noun.replace(/^.+?(?= of |$)/, (head) => {
    if (/[^aeiou]y$/.test(head)) return head.replace(/y$/, "ies");
    return /[as]s$/.test(head) ? `${head}es` : head.replace(/s?$/, "s");
  });

export const count = (number: number, noun: string, plural = pluralOf(noun)): string =>
  `${number} ${number === 1 ? noun : plural}`;
