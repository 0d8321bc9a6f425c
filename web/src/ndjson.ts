// JSON lines as they arrive: a chunk may end in the midst of a line, or of a
// character of one.

/** No line of the server's is longer; more without an end is not lines. Counts UTF-16 units. */
const LONGEST = 8 << 20;

/** Puts chunks together to lines. */
export class LineReader {
  #decoder = new TextDecoder();
  #rest: string[] = [];
  #length = 0;

  /** The lines that chunk completes, without their ends; empty ones are left out. */
  push(chunk: Uint8Array): string[] {
    const parts = this.#decoder.decode(chunk, { stream: true }).split("\n");
    const last = parts.pop() ?? "";
    const found: string[] = [];
    for (const part of parts) {
      const line = [...this.#rest, part].join("").trim();
      this.#rest = [];
      this.#length = 0;
      if (line) found.push(line);
    }
    if (last) this.#rest.push(last);
    this.#length += last.length;
    if (this.#length > LONGEST) throw new RangeError("a line without an end");
    return found;
  }
}
