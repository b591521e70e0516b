// As ml/inference/regions.py: is there more than one spot in a picture, and where? The numbers come
// from there, as `rules.regions`. A box is shares of the picture: { left, top, right, bottom }.

import {
  area,
  border,
  closed,
  dilated,
  hull,
  medianOf5,
  opened,
  parts,
  smallestRectangle,
} from "./shapes.js";
import { round } from "./resampling.js";

const f = Math.fround;
const count = (region) => region.reduce((sum, one) => sum + one, 0);
const share = (region) => count(region) / region.length;

const median = (values) => {
  if (!values.length) return NaN;
  const sorted = Float32Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : f((sorted[half - 1] + sorted[half]) / 2);
};

const within = (values, region) => values.filter((_, n) => region[n]);

/** The largest connected part of a mask. */
export const main = (mask, frame) => {
  const found = parts(mask, frame);
  if (!found.length) return mask;
  return found.reduce((best, one) => (one.area > best.area ? one : best)).region;
};

// OpenCV's CIELAB of RGB: between the corners of a grid of 32 cells a side, in 14 bits.

const CELLS = 32;
const UNIT = 2 ** 14;
const TO_XYZ = [
  [0.412453 / 0.950456, 0.35758 / 0.950456, 0.180423 / 0.950456],
  [0.212671, 0.71516, 0.072169],
  [0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754],
];
let corners = null;

const labCorners = () => {
  if (corners) return corners;
  const side = CELLS + 1;
  corners = new Int32Array(side ** 3 * 3);
  const light = Array.from({ length: side }, (_, n) => {
    const value = n / CELLS;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  let at = 0;
  for (const red of light) {
    for (const green of light) {
      for (const blue of light) {
        const xyz = TO_XYZ.map((row) => row[0] * red + row[1] * green + row[2] * blue);
        const [x, y, z] = xyz.map((one) =>
          one > 216 / 24389 ? Math.cbrt(one) : (841 / 108) * one + 16 / 116,
        );
        const lightness = xyz[1] > 216 / 24389 ? 116 * y - 16 : (24389 / 27) * xyz[1];
        corners[at++] = round((UNIT * lightness) / 100);
        corners[at++] = round((UNIT * (500 * (x - y) + 128)) / 256);
        corners[at++] = round((UNIT * (200 * (y - z) + 128)) / 256);
      }
    }
  }
  return corners;
};

/** Smoothed first. Returns three Float32Arrays: L*, a*, b*. */
const labOf = (image) => {
  const table = labCorners();
  const smooth = medianOf5(image);
  const size = image.width * image.height;
  const lab = [0, 1, 2].map(() => new Float32Array(size));
  const scale = f(1 / UNIT);
  const steps = Array.from({ length: 256 }, (_, value) => round(f(f(value / 255) * UNIT)));
  for (let n = 0; n < size; n++) {
    const place = [0, 1, 2].map((channel) => steps[smooth[3 * n + channel]]);
    const cell = place.map((one) => one >> 9);
    const rest = place.map((one) => (one >> 5) & 15);
    const sums = [0, 0, 0];
    for (let corner = 0; corner < 8; corner++) {
      let weight = 1;
      let at = 0;
      for (let axis = 0; axis < 3; axis++) {
        const far = (corner >> axis) & 1;
        weight *= far ? rest[axis] : 16 - rest[axis];
        at = at * (CELLS + 1) + Math.min(cell[axis] + far, CELLS);
      }
      for (let channel = 0; channel < 3; channel++) {
        sums[channel] += weight * table[3 * at + channel];
      }
    }
    const [lightness, red, yellow] = sums.map((sum) => (sum + 2048) >> 12);
    lab[0][n] = f(lightness * scale) * 100;
    lab[1][n] = f(red * scale) * 256 - 128;
    lab[2][n] = f(yellow * scale) * 256 - 128;
  }
  return lab;
};

/** Where it is darker than the ground, and how far each pixel is from it; lighter ones by their
 * colour alone. */
const contrastTo = (lab, ground) => {
  const middle = lab.map((channel) => median(within(channel, ground)));
  const darker = new Uint8Array(ground.length);
  const contrast = new Float32Array(ground.length);
  for (let n = 0; n < ground.length; n++) {
    const [lightness, red, yellow] = lab.map((channel, c) => f(channel[n] - middle[c]));
    darker[n] = lightness < 0 ? 1 : 0;
    contrast[n] = Math.hypot(f(Math.hypot(Math.min(lightness, 0), red)), yellow);
  }
  return { darker, contrast };
};

/** Connected parts, opened against hairs and closed over the gaps that hairs leave. */
const patchesOf = (marked, frame, rules) =>
  parts(closed(opened(marked, frame, 7), frame, 5), frame)
    .filter((part) => part.area >= rules.least_spot * marked.length)
    .map((part) => part.region);

const isCompact = (spot, frame, rules) => {
  const outline = border(spot, frame);
  const around = hull(outline);
  const sides = smallestRectangle(around);
  const onBorder = outline.filter(
    ([x, y]) => x === 0 || x === frame.width - 1 || y === 0 || y === frame.height - 1,
  ).length;
  return (
    count(spot) >= rules.least_solid * Math.abs(area(around)) &&
    Math.max(...sides) <= rules.longest * Math.max(1, Math.min(...sides)) &&
    onBorder / outline.length <= rules.most_on_border
  );
};

const standsOut = (lab, spot, near, frame, rules) => {
  const inner = dilated(spot, frame, 11);
  const ring = dilated(spot, frame, 21).map((one, n) => (one && !inner[n] && !near[n] ? 1 : 0));
  const ground = count(ring) > 20 ? ring : near.map((one) => 1 - one);
  const around = lab.map((channel) => median(within(channel, ground)));
  const inSpot = lab.map((channel) => within(channel, spot));
  const step = inSpot[0].map((_, n) =>
    Math.hypot(...inSpot.map((channel, c) => f(channel[n] - around[c]))),
  );
  const half = median(step);
  const own = inSpot.map((channel) => median(channel.filter((_, n) => step[n] >= half)));
  const edge = Math.hypot(...own.map((one, c) => one - around[c]));
  return edge >= rules.least_step && around[0] > rules.darkest_skin && own[2] >= rules.ink;
};

/** What looks like a spot on the skin beside the lesion. */
const spotsOf = (lab, lesion, frame, rules) => {
  const near = dilated(lesion, frame, 9);
  const skin = near.map((one, n) => (!one && lab[0][n] > 15 ? 1 : 0));
  if (count(skin) < 0.1 * skin.length) return [];
  const { darker, contrast } = contrastTo(lab, skin);
  const strays = median(within(contrast, skin));
  const ofLesion = count(lesion) ? median(within(contrast, lesion)) : 20;
  const least = Math.max(12, 2.5 * strays, Math.min(0.5 * ofLesion, 25));
  const wanted = Math.max(rules.least_contrast, rules.of_main * ofLesion, 3 * strays);
  const marked = near.map((one, n) => (contrast[n] > f(least) && !one && darker[n] ? 1 : 0));
  return patchesOf(marked, frame, rules).filter(
    (spot) =>
      share(spot) <= rules.most_spot &&
      median(within(contrast, spot)) >= wanted &&
      isCompact(spot, frame, rules) &&
      standsOut(lab, spot, near, frame, rules),
  );
};

const centreOf = (region, { width }) => {
  let [x, y, n] = [0, 0, 0];
  region.forEach((one, at) => {
    if (!one) return;
    x += at % width;
    y += Math.floor(at / width);
    n += 1;
  });
  return [x / n, y / n];
};

/** Dark patches within the lesion's mask and off its centre: of a spot that it took in, too. */
const coresOf = (lab, lesion, frame, rules) => {
  if (share(lesion) < rules.least_spot) return [];
  const { darker, contrast } = contrastTo(lab, lesion);
  const least = Math.max(12, 2 * median(within(contrast, lesion)));
  const [x, y] = centreOf(lesion, frame);
  const radius = Math.sqrt(count(lesion) / Math.PI);
  const marked = lesion.map((one, n) => (contrast[n] > f(least) && one && darker[n] ? 1 : 0));
  return patchesOf(marked, frame, rules).filter((core) => {
    const [ownX, ownY] = centreOf(core, frame);
    return (
      share(core) <= rules.most_core &&
      median(within(contrast, core)) >= rules.least_core &&
      Math.hypot(ownX - x, ownY - y) >= rules.off_centre * radius &&
      isCompact(core, frame, rules)
    );
  });
};

/** A square around a spot, moved into the picture. */
const squareAround = (spot, { width, height }, rules) => {
  let [left, top, right, bottom] = [width, height, 0, 0];
  spot.forEach((one, at) => {
    if (!one) return;
    const [x, y] = [at % width, Math.floor(at / width)];
    [left, top] = [Math.min(left, x), Math.min(top, y)];
    [right, bottom] = [Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  const [across, down] = [right - left, bottom - top];
  const longer = Math.max(across, down);
  const side = Math.min(Math.max(rules.smallest_square, rules.around * longer), width, height);
  const x = Math.min(Math.max(left + across / 2 - side / 2, 0), width - side);
  const y = Math.min(Math.max(top + down / 2 - side / 2, 0), height - side);
  return { left: x / width, top: y / height, right: (x + side) / width, bottom: (y + side) / height };
};

const boxesOf = (spots, frame, rules) =>
  spots
    .sort((a, b) => count(b) - count(a))
    .slice(0, rules.most)
    .map((spot) => squareAround(spot, frame, rules));

// A picture within the picture: a rectangle of sharp sides.

/** Sums of the steps along each edge between two columns: [lines + 1][edge]. `at` gives the pixel of
 * a line and a place on it. */
const stepsAlong = (data, lines, length, at, rules) => {
  const sums = [new Int32Array(length - 1)];
  for (let line = 0; line < lines; line++) {
    const jump = new Float64Array(length - 1 + 4);
    for (let x = 0; x < length - 1; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const step = Math.abs(data[3 * at(line, x + 1) + channel] - data[3 * at(line, x) + channel]);
        jump[x + 2] = Math.max(jump[x + 2], step);
      }
    }
    sums.push(
      sums[line].map((sum, x) => {
        const own = jump[x + 2];
        const isStep =
          own >= Math.max(jump[x + 1], jump[x + 3]) &&
          own > 1.4 * Math.max(jump[x], jump[x + 4]) &&
          own > rules.least_jump;
        return sum + (isStep ? 1 : 0);
      }),
    );
  }
  return sums;
};

const sharpLines = (sums, rules) => {
  const long = rules.shortest_border;
  const found = [];
  for (let edge = 0; edge < sums[0].length; edge++) {
    for (let line = long; line < sums.length; line++) {
      if (sums[line][edge] - sums[line - long][edge] >= rules.faintest_side * long) {
        found.push(edge + 1);
        break;
      }
    }
  }
  return found;
};

const stretches = (edges, length, rules) => {
  const ends = [0, ...edges, length];
  return ends.flatMap((start, n) =>
    ends
      .slice(n + 1)
      .filter((stop) => stop - start >= rules.shortest_border)
      .map((stop) => [start, stop]),
  );
};

const insetOf = ({ width, height, data }, rules) => {
  const down = stepsAlong(data, height, width, (y, x) => y * width + x, rules);
  const across = stepsAlong(data, width, height, (x, y) => y * width + x, rules);
  let best = null;
  let [most, clearest] = [0, 0];
  for (const [left, right] of stretches(sharpLines(down, rules), width, rules)) {
    for (const [top, bottom] of stretches(sharpLines(across, rules), height, rules)) {
      if ((right - left) * (bottom - top) > rules.largest_inset * width * height) continue;
      const sides = [
        ...[left, right]
          .filter((edge) => edge > 0 && edge < width)
          .map((edge) => (down[bottom][edge - 1] - down[top][edge - 1]) / (bottom - top)),
        ...[top, bottom]
          .filter((edge) => edge > 0 && edge < height)
          .map((edge) => (across[right][edge - 1] - across[left][edge - 1]) / (right - left)),
      ];
      const least = Math.min(...sides);
      const isClearer = sides.length > most || (sides.length === most && least > clearest);
      const isFramed =
        sides.length === 4 &&
        least >= rules.faintest_side &&
        sides.reduce((sum, side) => sum + side, 0) / 4 >= rules.frame_share;
      if (!isClearer || (least < rules.sharp_share && !isFramed)) continue;
      [most, clearest] = [sides.length, least];
      best = {
        left: left / width,
        top: top / height,
        right: right / width,
        bottom: bottom / height,
      };
    }
  }
  return best;
};

/** Where else a lesion may be: `others` beside the mask's main part, `cores` within it. */
export const found = (image, mask, { regions: rules }) => {
  const lab = labOf(image);
  const lesion = main(mask, image);
  const inset = insetOf(image, rules);
  const others = inset ? [inset] : boxesOf(spotsOf(lab, lesion, image, rules), image, rules);
  const cores = boxesOf(coresOf(lab, lesion, image, rules), image, rules);
  return { others, cores: cores.slice(0, rules.most - others.length) };
};
