// The server's clock: ages are told against it, so a browser whose own clock is
// wrong does not call a fresh reading old.

let skew = 0;

/** Milliseconds since the epoch, by the server's clock as last learnt. */
export function now(): number {
  return Date.now() + skew;
}

/** Learns the server's clock from an answer that said `server` and took from `asked` to `answered`. */
export function learn(server: number, asked: number, answered: number): void {
  skew = server - (asked + answered) / 2;
}
