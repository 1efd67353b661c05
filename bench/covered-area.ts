/** The part of a job's report that tells what was covered. */
export interface CoverReport {
  readonly input: { readonly width: number; readonly height: number; readonly frames: number };
  readonly tracks: readonly { readonly boxes: readonly (readonly (number | null)[])[] }[];
}

/** Pixels summed over frames. */
export interface CoveredArea {
  readonly covered: number;
  readonly pixels: number;
}

/** Pixels of the grid on which masks are laid over each other, a side. */
const CELL = 4;

/**
 * How many pixels the masks of a report cover: ellipses that reach `margin` past their boxes; where they overlap they
 * count once. Frames that were covered whole are not told in a report.
 */
export function coveredArea({ input, tracks }: CoverReport, margin: number): CoveredArea {
  const { width, height, frames } = input;
  const columns = Math.ceil(width / CELL);
  const rows = Math.ceil(height / CELL);
  const perFrame = new Map<number, [x: number, y: number, w: number, h: number][]>();
  for (const [frame, x, y, w, h] of tracks.flatMap(({ boxes }) => boxes) as [
    number,
    number,
    number,
    number,
    number,
  ][]) {
    const boxes = perFrame.get(frame) ?? [];
    boxes.push([x, y, w, h]);
    perFrame.set(frame, boxes);
  }
  const cells = new Uint8Array(columns * rows);
  let covered = 0;
  for (const boxes of perFrame.values()) {
    cells.fill(0);
    for (const [x, y, w, h] of boxes) {
      const [centreX, centreY] = [x + w / 2, y + h / 2];
      const [radiusX, radiusY] = [(w / 2) * (1 + margin), (h / 2) * (1 + margin)];
      const toRow = Math.min(rows, (centreY + radiusY) / CELL);
      for (let row = Math.max(0, Math.floor((centreY - radiusY) / CELL)); row < toRow; row++) {
        const dy = ((row + 0.5) * CELL - centreY) / radiusY;
        const toColumn = Math.min(columns, (centreX + radiusX) / CELL);
        for (let column = Math.max(0, Math.floor((centreX - radiusX) / CELL)); column < toColumn; column++) {
          const dx = ((column + 0.5) * CELL - centreX) / radiusX;
          if (dx * dx + dy * dy <= 1) cells[row * columns + column] = 1;
        }
      }
    }
    covered += (cells.reduce((sum, cell) => sum + cell, 0) / cells.length) * width * height;
  }
  return { covered, pixels: width * height * frames };
}
