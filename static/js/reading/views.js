// As ml/inference/views.py: an image of any size to the square views that the network sees, and what
// it says of them laid back on the image. The numbers come from there, as `rules.views`.

import { BILINEAR, LANCZOS, crop, resize, resizeWithGap, round } from "./resampling.js";

/** To a short side of rules.views.short_side. */
export const reduce = (pixels, { views }) => {
  const scale = views.short_side / Math.min(pixels.height, pixels.width);
  const width = Math.max(views.short_side, round(pixels.width * scale));
  const height = Math.max(views.short_side, round(pixels.height * scale));
  return resizeWithGap(pixels, width, height, LANCZOS, views.reducing_gap);
};

/** Rows and columns of a box (shares of a picture) on a picture of this size. */
const placed = (box, height, width) => ({
  top: round(box.top * height),
  bottom: Math.min(height, Math.max(1, round(box.bottom * height))),
  left: round(box.left * width),
  right: Math.min(width, Math.max(1, round(box.right * width))),
});

export const partOf = (pixels, box) => {
  const { left, top, right, bottom } = placed(box, pixels.height, pixels.width);
  return crop(pixels, left, top, right, bottom);
};

const lookedAt = ({ share, shift }, { width, height }, views) => {
  const side = views.short_side * share;
  const roomX = (width - views.short_side) / 2;
  const roomY = (height - views.short_side) / 2;
  return {
    left: (width - side) / 2 + shift * Math.min(roomX, views.max_shift),
    top: (height - side) / 2 + shift * Math.min(roomY, views.max_shift),
    side,
  };
};

/** A square [side, side, channels] after n quarter turns against the clock. */
const turned = (values, side, channels, turns) => {
  let from = values;
  for (let n = 0; n < ((turns % 4) + 4) % 4; n++) {
    const made = new from.constructor(from.length);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const source = (x * side + (side - 1 - y)) * channels;
        for (let c = 0; c < channels; c++) made[(y * side + x) * channels + c] = from[source + c];
      }
    }
    from = made;
  }
  return from;
};

const mirrored = (values, side, channels) => {
  const made = new values.constructor(values.length);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const source = (y * side + (side - 1 - x)) * channels;
      for (let c = 0; c < channels; c++) made[(y * side + x) * channels + c] = values[source + c];
    }
  }
  return made;
};

const upright = (view, values, side, channels) =>
  turned(
    view.mirrored ? mirrored(values, side, channels) : values,
    side,
    channels,
    -view.quarter_turns,
  );

/** What the network is shown: Float32Array [side, side, 3] of each view. */
export const viewsOf = (image, side, { views }) =>
  views.all.map((view) => {
    const { left, top, side: wide } = lookedAt(view, image, views);
    const square = resize(image, side, side, BILINEAR, [left, top, left + wide, top + wide]);
    const posed = turned(square.data, side, 3, view.quarter_turns);
    return Float32Array.from(view.mirrored ? mirrored(posed, side, 3) : posed);
  });

/** masks: Float32Array [s, s] of each view. Returns [height, width]: their mean where they overlap. */
export const masksOnFrame = (masks, image, { views }) => {
  const { width, height } = image;
  const total = new Float32Array(width * height);
  const seen = new Uint8Array(width * height);
  views.all.forEach((view, n) => {
    const { left, top, side: wide } = lookedAt(view, image, views);
    const side = Math.sqrt(masks[n].length);
    const columns = [Math.max(0, round(left)), Math.min(width, round(left + wide))];
    const rows = [Math.max(0, round(top)), Math.min(height, round(top + wide))];
    const straight = {
      width: side,
      height: side,
      channels: 1,
      data: upright(view, masks[n], side, 1),
    };
    const across = columns[1] - columns[0];
    const window = resize(straight, across, rows[1] - rows[0], BILINEAR).data;
    for (let y = rows[0]; y < rows[1]; y++) {
      for (let x = columns[0]; x < columns[1]; x++) {
        total[y * width + x] += window[(y - rows[0]) * across + x - columns[0]];
        seen[y * width + x] += 1;
      }
    }
  });
  return total.map((sum, n) => sum / Math.max(seen[n], 1));
};

/** [count][cells]: which share of each of a view's cells lies in each cell of the grid. */
const overlap = (start, side, cells, count, cell) =>
  Array.from({ length: count }, (_, line) =>
    Array.from({ length: cells }, (_, n) => {
      const low = Math.max(start + (side * n) / cells, line * cell);
      const high = Math.min(start + (side * (n + 1)) / cells, (line + 1) * cell);
      return (Math.max(0, high - low) * cells) / side;
    }),
  );

/** Adds values [rows, columns, k], spread by `down` and `across`, to a grid of the same k. */
const lay = (grid, down, across, values, columns, k) => {
  down.forEach((shares, y) => {
    const row = new Float64Array(columns * k);
    shares.forEach((share, n) => {
      if (!share) return;
      for (let at = 0; at < columns * k; at++) row[at] += share * values[n * columns * k + at];
    });
    across.forEach((parts, x) => {
      parts.forEach((share, n) => {
        if (!share) return;
        const target = (y * across.length + x) * k;
        for (let c = 0; c < k; c++) grid[target + c] += share * row[n * k + c];
      });
    });
  });
};

const gridOf = (width, height, cell, k) => {
  const [columns, rows] = [Math.ceil(width / cell), Math.ceil(height / cell)];
  return { rows, columns, values: new Float64Array(rows * columns * k) };
};

/** evidence: Float32Array [c, c, k] of each view. Returns { rows, columns, values [.., k] }. */
export const evidenceOnFrame = (evidence, image, k, { views }) => {
  const grid = gridOf(image.width, image.height, views.evidence_cell, k);
  const cells = Math.round(Math.sqrt(evidence[0].length / k));
  views.all.forEach((view, n) => {
    const { left, top, side } = lookedAt(view, image, views);
    const down = overlap(top, side, cells, grid.rows, views.evidence_cell);
    const across = overlap(left, side, cells, grid.columns, views.evidence_cell);
    lay(grid.values, down, across, upright(view, evidence[n], cells, k), cells, k);
  });
  const scale = views.all.length * cells * cells;
  grid.values.forEach((value, at) => (grid.values[at] = value / scale));
  return grid;
};

/** A part's mask laid on the whole, 0 elsewhere. own, whole: the two reduced images. */
export const maskOfPart = (mask, box, own, whole) => {
  const laid = new Float32Array(whole.width * whole.height);
  const { left, top, right, bottom } = placed(box, whole.height, whole.width);
  const part = { width: own.width, height: own.height, channels: 1, data: mask };
  const window = resize(part, right - left, bottom - top, BILINEAR).data;
  for (let y = top; y < bottom; y++) {
    const row = window.subarray((y - top) * (right - left), (y - top + 1) * (right - left));
    laid.set(row, y * whole.width + left);
  }
  return laid;
};

const spread = (cells, own, start, stop, length, cell) => {
  const edges = Array.from(
    { length: cells + 1 },
    (_, n) => (Math.min(n * cell, own) * (stop - start)) / own + start,
  );
  return Array.from({ length: Math.ceil(length / cell) }, (_, line) =>
    Array.from({ length: cells }, (_, n) => {
      const low = Math.max(edges[n], line * cell);
      const high = Math.min(edges[n + 1], (line + 1) * cell);
      return Math.max(0, high - low) / (edges[n + 1] - edges[n]);
    }),
  );
};

/** A part's evidence laid on the grid of the whole, none of it lost. */
export const evidenceOfPart = (evidence, box, own, whole, k, { views }) => {
  const cell = views.evidence_cell;
  const grid = gridOf(whole.width, whole.height, cell, k);
  const { width, height } = whole;
  const rows = [box.top * height, box.bottom * height];
  const columns = [box.left * width, box.right * width];
  const down = spread(evidence.rows, own.height, ...rows, height, cell);
  const across = spread(evidence.columns, own.width, ...columns, width, cell);
  lay(grid.values, down, across, evidence.values, evidence.columns, k);
  return grid;
};
