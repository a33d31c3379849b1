/** Phrases that are not plain English, each with what to write instead. */
const phrases: readonly { readonly pattern: RegExp; readonly write: string }[] = [
  { pattern: /\bwhoever\b/i, write: '"anyone who", or the role: "callers", "the owner"' },
  { pattern: /\bof others\b(?!\))/i, write: '"existing", or the owner' },
  { pattern: /(?<!\bthere )\bis no (?!\w+er\b|more\b|less\b)[a-z]+/i, write: '"is not a …" or "must be …"' },
  { pattern: /\bis told\b/i, write: '"is notified", "gets", "reads"' },
];

/** A line for each such phrase in a text, such as `README.md:12: "is no number": write …`. */
export function findPhrases(file: string, text: string): readonly string[] {
  return text.split("\n").flatMap((line, index) =>
    phrases.flatMap(({ pattern, write }) => {
      const found = pattern.exec(line)?.[0];
      return found === undefined ? [] : [`${file}:${index + 1}: "${found}": write ${write}`];
    }),
  );
}
