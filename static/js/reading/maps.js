// What is laid over the picture, as screening/predictions/overlays.py gives it to js/overlays.js: the
// lesion's border, and the evidence.

import { area, border, partsBySides } from "./shapes.js";

/** The border of the mask's largest part through the middles of the pixels' sides; x and y 0..1. */
export const outlineOf = (mask, { width, height }) => {
  const frame = { width: 2 * width + 1, height: 2 * height + 1 };
  const borders = partsBySides(mask, { width, height }).map(({ region }) => {
    const grid = new Uint8Array(frame.width * frame.height);
    region.forEach((one, n) => {
      if (!one) return;
      const at = 2 * Math.floor(n / width) * frame.width + 2 * (n % width);
      for (let down = 0; down < 3; down++) {
        for (let right = 0; right < 3; right++) grid[at + down * frame.width + right] = 1;
      }
    });
    return border(grid, frame).filter(([x, y]) => (x + y) % 2 === 1);
  });
  if (!borders.length) return [];
  const size = (points) => Math.abs(area(points));
  const largest = borders.reduce((best, one) => (size(one) > size(best) ? one : best));
  return largest.map(([x, y]) => [x / (2 * width), y / (2 * height)]);
};

/** { columns, rows, levels, words } by diagnosis. */
export const evidenceGrid = ({ evidence, mask, width, height }, rules) => {
  const { rows, columns, values } = evidence;
  const k = rules.diagnoses.length;
  const cell = rules.views.evidence_cell;
  const favour = Float64Array.from(values);
  for (let n = 0; n < rows * columns; n++) {
    const own = values.subarray(n * k, (n + 1) * k);
    const mean = own.reduce((sum, one) => sum + one, 0) / k;
    own.forEach((one, c) => (favour[n * k + c] = Math.max(0, one - mean)));
  }
  const covered = new Float64Array(rows * columns);
  mask.forEach((one, n) => {
    const [x, y] = [Math.floor((n % width) / cell), Math.floor(n / width / cell)];
    if (one) covered[y * columns + x] += 1 / cell ** 2;
  });
  const most = favour.reduce((best, one) => Math.max(best, one), 0) || 1;
  const levels = {};
  const words = {};
  rules.diagnoses.forEach((code, c) => {
    const own = covered.map((_, n) => favour[n * k + c]);
    levels[code] = [...own.map((one) => Math.round((one * rules.shown.levels) / most))];
    const all = own.reduce((sum, one) => sum + one, 0);
    const inside = own.reduce((sum, one, n) => sum + one * covered[n], 0) / all;
    const of = rules.words.evidence;
    const { title } = rules.words.diagnoses[code];
    const name = title[0].toLowerCase() + title.slice(1);
    const where = covered.some((one) => one > 0)
      ? of.inside.replace("{}", Math.round(inside * 100))
      : "";
    words[code] = (all ? of.found : of.none).replace("{name}", name).replace("{where}", where);
  });
  const across = (columns * cell) / width;
  const down = (rows * cell) / height;
  return { columns, rows, levels, words, across, down };
};
