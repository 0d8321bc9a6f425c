// Which rows of a long list are on the screen.

export interface Slice {
  /** First row to show, and the one after the last. */
  readonly from: number;
  readonly to: number;
}

/** The rows that a window of `height` sees when it is scrolled `offset` into a list of `count` rows, with `spare` more on each side. */
export function slice(count: number, rowHeight: number, offset: number, height: number, spare: number): Slice {
  const from = Math.floor(offset / rowHeight) - spare;
  const to = Math.ceil((offset + height) / rowHeight) + spare;
  const first = Math.min(count, Math.max(0, from));
  return { from: first, to: Math.max(first, Math.min(count, to)) };
}

/** How far to scroll so that a row is wholly between top and bottom margins; the present offset when it is already. */
export function reveal(row: number, rowHeight: number, offset: number, height: number, top: number, bottom: number): number {
  const above = row * rowHeight - top;
  const below = (row + 1) * rowHeight + bottom - height;
  if (offset > above) return above;
  if (offset < below) return below;
  return offset;
}
