// As ml/inference/quality.py: what is wrong with a picture, and with how its lesion is seen. The
// limits come from there, as `rules.quality`.

import { luma } from "./resampling.js";

export const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;

/** As numpy's `percentile`: between two values in proportion. */
const percentile = (sorted, share) => {
  const at = (share / 100) * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
};

/** Means over squares of values [height, width, channels]. */
const patches = (values, width, height, channels, side) => {
  const [columns, rows] = [Math.floor(width / side), Math.floor(height / side)];
  const made = new Float64Array(rows * columns * channels);
  for (let y = 0; y < rows * side; y++) {
    for (let x = 0; x < columns * side; x++) {
      const target = (Math.floor(y / side) * columns + Math.floor(x / side)) * channels;
      for (let c = 0; c < channels; c++) {
        made[target + c] += values[(y * width + x) * channels + c];
      }
    }
  }
  return { rows, columns, means: made.map((sum) => sum / (side * side)) };
};

/** Mean absolute Laplacian of values [rows, columns]. */
const laplacian = (values, columns, rows) => {
  let sum = 0;
  for (let y = 1; y < rows - 1; y++) {
    for (let x = 1; x < columns - 1; x++) {
      const at = y * columns + x;
      const around = values[at - columns] + values[at + columns] + values[at - 1] + values[at + 1];
      sum += Math.abs(around - 4 * values[at]);
    }
  }
  return sum / ((rows - 2) * (columns - 2));
};

const detail = (light, { width, height }) => {
  const { rows, columns, means } = patches(light, width, height, 1, 2);
  return laplacian(means, columns, rows);
};

const BINOMIAL = [1, 4, 6, 4, 1].map((share) => share / 16);

/** Values [height, width] without the outer two rows and columns. */
const blurred = ({ values, width, height }) => {
  const [columns, rows] = [width - 4, height - 4];
  const down = new Float64Array(rows * width);
  const across = new Float64Array(rows * columns);
  BINOMIAL.forEach((share, n) => {
    for (let at = 0; at < down.length; at++) down[at] += share * values[at + n * width];
  });
  BINOMIAL.forEach((share, n) => {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) across[y * columns + x] += share * down[y * width + x + n];
    }
  });
  return { values: across, width: columns, height: rows };
};

/** The share of the detail that outlasts two more passes of a small blur. */
const smoothness = (light, { width, height }) => {
  const detailOf = (one) => laplacian(one.values, one.width, one.height);
  const once = blurred({ values: light, width, height });
  return detailOf(blurred(blurred(once))) / Math.max(detailOf(once), 1e-6);
};

const DEGREE = 5;

/** What of the colours the brightness does not give away: the rest after a fit by least squares. */
const colour = (image, side) => {
  const { means } = patches(image.data, image.width, image.height, 3, side);
  const count = means.length / 3;
  const brightness = Array.from(
    { length: count },
    (_, n) => (means[3 * n] + means[3 * n + 1] + means[3 * n + 2]) / 3,
  );
  const middle = mean(brightness);
  const strays = Math.sqrt(mean(brightness.map((one) => (one - middle) ** 2)));
  const spread = Math.max(strays, 1e-9);
  const basis = [];
  for (let power = 0; power <= DEGREE; power++) {
    const column = brightness.map((one) => ((one - middle) / spread) ** power);
    const length = Math.hypot(...column);
    // Twice, so that what rounding leaves of the others goes too (Gram-Schmidt).
    for (let time = 0; time < 2; time++) {
      for (const other of basis) {
        const shared = column.reduce((sum, one, n) => sum + one * other[n], 0);
        other.forEach((one, n) => (column[n] -= shared * one));
      }
    }
    const left = Math.hypot(...column);
    if (left > 1e-12 * Math.max(length, 1)) basis.push(column.map((one) => one / left));
  }
  let sum = 0;
  for (let channel = 0; channel < 3; channel++) {
    const rest = Array.from({ length: count }, (_, n) => means[3 * n + channel]);
    for (const one of basis) {
      const shared = one.reduce((total, value, n) => total + value * rest[n], 0);
      one.forEach((value, n) => (rest[n] -= shared * value));
    }
    sum += rest.reduce((total, value) => total + value * value, 0);
  }
  return Math.sqrt(sum / (3 * count));
};

/** Of each pixel's three channels the darkest, or the brightest. */
const channels = ({ width, height, data }, extreme) =>
  Uint8Array.from({ length: width * height }, (_, n) =>
    extreme(data[3 * n], data[3 * n + 1], data[3 * n + 2]),
  );

/** Codes of what is wrong with the picture, the gravest first. original: as it came in. */
export const ofPicture = (original, image, { quality }) => {
  const light = luma(image);
  const sorted = light.slice().sort();
  const [low, lower, upper, high] = [2, 25, 75, 98].map((share) => percentile(sorted, share));
  const darkest = percentile(channels(image, Math.min).sort(), 2);
  const brightest = percentile(channels(image, Math.max).sort(), 98);
  const wrong = {
    too_small: Math.min(original.width, original.height) < quality.min_side,
    too_dark: upper < quality.darkest || brightest < quality.dimmest,
    too_bright: lower > quality.brightest || darkest > quality.palest,
    low_contrast: high - low < quality.least_contrast,
    blurred:
      detail(light, image) < quality.least_detail ||
      smoothness(light, image) > quality.most_smooth,
    no_colour: colour(image, quality.colour_patch) < quality.least_colour,
  };
  return Object.keys(wrong).filter((fault) => wrong[fault]);
};

/** Of the mask's outermost pixels, the share that lies on the image's border. */
const cutOff = (mask, { width, height }) => {
  let [outline, onBorder] = [0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (!mask[at]) continue;
      const isEdge = y === 0 || y === height - 1 || x === 0 || x === width - 1;
      const isInner =
        !isEdge && mask[at - 1] && mask[at + 1] && mask[at - width] && mask[at + width];
      if (isInner) continue;
      outline += 1;
      if (isEdge) onBorder += 1;
    }
  }
  return onBorder / Math.max(outline, 1);
};

/** Codes of what is wrong with how the lesion is seen. mask: Uint8Array, 1 where it is. */
export const ofLesion = (image, mask, { quality }) => {
  const count = mask.reduce((sum, one) => sum + one, 0);
  if (count / mask.length < quality.smallest_lesion) return ["lesion_too_small"];
  const darkest = channels(image, Math.min);
  let burnt = 0;
  mask.forEach((one, n) => {
    if (one && darkest[n] >= quality.white) burnt += 1;
  });
  const wrong = {
    glare: burnt / count > quality.most_glare,
    lesion_cut_off: cutOff(mask, image) > quality.most_cut_off,
  };
  return Object.keys(wrong).filter((fault) => wrong[fault]);
};
