// What the statement editor keeps in the URL, after the #, so that it can be sent
// to a colleague and the server is not told.

export interface EditorState {
  readonly sql?: string;
  readonly version?: string;
  /** The message of one's own. */
  readonly topic?: string;
  readonly client?: string;
  readonly payload?: string;
  /** "base64" when the payload is written so. */
  readonly encoding?: string;
}

/** Longer addresses are cut off by programs that people send them with. */
export const LONGEST_HASH = 8000;

const NAMES = ["sql", "version", "topic", "client", "encoding", "payload"] as const;

/** Writes the state, without the #. What would make it too long is left out, the payload first; whole tells whether all is there. */
export function writeState(state: EditorState): { hash: string; whole: boolean } {
  const query = new URLSearchParams();
  let whole = true;
  for (const name of NAMES) {
    const value = state[name];
    if (!value) continue;
    query.set(name, value);
    if (query.toString().length <= LONGEST_HASH) continue;
    query.delete(name);
    whole = false;
  }
  return { hash: query.toString(), whole };
}

/** Reads the state of a URL's hash; what is not there is not in it. */
export function readState(hash: string): EditorState {
  const query = new URLSearchParams(hash.replace(/^#/, "").slice(0, 2 * LONGEST_HASH));
  return Object.fromEntries(NAMES.filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
}
