// Places in a text. The server counts bytes of UTF-8, JavaScript UTF-16 units.

/** The UTF-16 index of the character at a byte offset; the end for one beyond it. */
export function indexOfByte(text: string, offset: number): number {
  let bytes = 0;
  let index = 0;
  for (const character of text) {
    bytes += bytesOf(character.codePointAt(0)!);
    if (bytes > offset) return index;
    index += character.length;
  }
  return index;
}

function bytesOf(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4; // half a surrogate pair is sent as U+FFFD: three
}

const TOKEN = /'(?:[^'\n]|'')*'?|"[^"\n]*"?|[\p{L}\p{N}_.]+|[<>!=]=|<>|./suy;

/** Where the word, literal or sign that begins at index ends. */
export function tokenEnd(text: string, index: number): number {
  TOKEN.lastIndex = index;
  return TOKEN.test(text) ? TOKEN.lastIndex : index;
}

/** A place for people: lines and columns (in characters) from 1, and the line with what stands before it there. */
export interface Place {
  readonly line: number;
  readonly column: number;
  readonly text: string;
  readonly before: string;
}

/** How much of a line is shown before and after a place. */
const AROUND = 48;

export function placeOf(text: string, index: number): Place {
  const start = index && text.lastIndexOf("\n", index - 1) + 1;
  const until = text.indexOf("\n", index);
  const end = until < 0 ? text.length : until;
  const before = [...text.slice(start, index)];
  const after = [...text.slice(index, end)];
  const head = before.length > AROUND ? `…${before.slice(-AROUND).join("")}` : before.join("");
  const tail = after.length > AROUND ? `${after.slice(0, AROUND).join("")}…` : after.join("");
  return { line: text.slice(0, start).split("\n").length, column: before.length + 1, text: head + tail, before: head };
}

/** The topic filter after FROM, as far as it can be told of a statement that may not parse yet. */
export function filterOf(sql: string): string | undefined {
  return /\bfrom\s+(?:'((?:[^']|'')+)'|"([^"]+)")/i.exec(sql)?.slice(1).find((filter) => filter !== undefined)?.replaceAll("''", "'");
}
