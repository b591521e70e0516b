// What OpenCV does for ml/inference/regions.py, on images of bytes: a region is a Uint8Array
// [height, width] of 0 and 1, with { width, height } beside it.

/** The kernel that `cv2.getStructuringElement` gives for an ellipse: per row, how far it reaches. */
const reaches = (size) => {
  const radius = size >> 1;
  return Array.from({ length: size }, (_, n) => {
    const y = n - radius;
    const x = radius * Math.sqrt((radius * radius - y * y) / (radius * radius));
    const below = Math.floor(x);
    return x - below === 0.5 ? below + (below % 2) : Math.round(x);
  });
};

const overKernel = (region, { width, height }, size, wanted) => {
  const radius = size >> 1;
  const rows = reaches(size);
  // Per row, sums up to each column: whether a stretch holds what is wanted is then a difference.
  const sums = new Int32Array(height * (width + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * (width + 1) + x;
      sums[at + 1] = sums[at] + (region[y * width + x] === wanted ? 1 : 0);
    }
  }
  const made = new Uint8Array(width * height).fill(1 - wanted);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let n = 0; n < size; n++) {
        const row = y + n - radius;
        if (row < 0 || row >= height) continue;
        const from = Math.max(0, x - rows[n]);
        const to = Math.min(width, x + rows[n] + 1);
        if (sums[row * (width + 1) + to] > sums[row * (width + 1) + from]) {
          made[y * width + x] = wanted;
          break;
        }
      }
    }
  }
  return made;
};

export const dilated = (region, frame, size) => overKernel(region, frame, size, 1);
export const eroded = (region, frame, size) => overKernel(region, frame, size, 0);
export const opened = (region, frame, size) => dilated(eroded(region, frame, size), frame, size);
export const closed = (region, frame, size) => eroded(dilated(region, frame, size), frame, size);

const EIGHT = [[-1, -1], [0, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [0, 1], [1, 1]];
const FOUR = [[0, -1], [-1, 0], [1, 0], [0, 1]];

/** The connected parts, each { region, area }, in the order in which their first pixels come. */
export const parts = (region, { width, height }, neighbours = EIGHT) => {
  const left = Uint8Array.from(region);
  const found = [];
  for (let start = 0; start < left.length; start++) {
    if (!left[start]) continue;
    const part = new Uint8Array(left.length);
    const waiting = [start];
    left[start] = 0;
    let area = 0;
    while (waiting.length) {
      const at = waiting.pop();
      part[at] = 1;
      area += 1;
      const [x, y] = [at % width, Math.floor(at / width)];
      for (const [right, down] of neighbours) {
        const [nx, ny] = [x + right, y + down];
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
        const next = ny * width + nx;
        if (!left[next]) continue;
        left[next] = 0;
        waiting.push(next);
      }
    }
    found.push({ region: part, area });
  }
  return found;
};
export const partsBySides = (region, frame) => parts(region, frame, FOUR);

const STEPS = [[1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1], [0, 1], [1, 1]];

/** The outer border of a connected region, pixel by pixel, [x, y] each (Suzuki & Abe 1985). */
export const border = (region, { width, height }) => {
  const has = ([x, y]) => x >= 0 && y >= 0 && x < width && y < height && region[y * width + x];
  const first = region.indexOf(1);
  const start = [first % width, Math.floor(first / width)];
  const next = ([x, y], way) => [x + STEPS[way][0], y + STEPS[way][1]];
  const same = (a, b) => a[0] === b[0] && a[1] === b[1];
  let way = 4;
  do way = (way + 7) & 7;
  while (way !== 4 && !has(next(start, way)));
  if (way === 4 && !has(next(start, way))) return [start];
  const last = next(start, way);
  const points = [];
  let at = start;
  for (;;) {
    let to;
    do {
      way = (way + 1) & 7;
      to = next(at, way);
    } while (!has(to));
    points.push(at);
    if (same(to, start) && same(at, last)) return points;
    at = to;
    way = (way + 4) & 7;
  }
};

const cross = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);

export const hull = (points) => {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (ordered) => {
    const kept = [];
    for (const point of ordered) {
      while (kept.length > 1 && cross(kept.at(-2), kept.at(-1), point) <= 0) kept.pop();
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  const corners = [...half(sorted), ...half(sorted.reverse())];
  return corners.length ? corners : [points[0]];
};

/** Signed: of corners that run clockwise as seen, it is positive. */
export const area = (points) =>
  points.reduce((sum, [x, y], n) => {
    const [nextX, nextY] = points[(n + 1) % points.length];
    return sum + x * nextY - nextX * y;
  }, 0) / 2;

/** The two sides of the smallest rectangle around a hull. */
export const smallestRectangle = (corners) => {
  if (corners.length === 1) return [0, 0];
  let best = [Infinity, Infinity];
  corners.forEach(([x, y], n) => {
    const [nextX, nextY] = corners[(n + 1) % corners.length];
    const length = Math.hypot(nextX - x, nextY - y);
    const [ux, uy] = [(nextX - x) / length, (nextY - y) / length];
    const along = corners.map(([px, py]) => px * ux + py * uy);
    const beside = corners.map(([px, py]) => py * ux - px * uy);
    const sides = [along, beside].map((one) => Math.max(...one) - Math.min(...one));
    if (sides[0] * sides[1] < best[0] * best[1] || best[0] === Infinity) best = sides;
  });
  return best;
};

/** `cv2.medianBlur` with 5 x 5 pixels, of each channel. */
export const medianOf5 = ({ width, height, data }) => {
  const made = new Uint8ClampedArray(data.length);
  const window = new Uint8Array(25);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let count = 0;
        for (let down = -2; down <= 2; down++) {
          const row = Math.min(Math.max(y + down, 0), height - 1) * width;
          for (let right = -2; right <= 2; right++) {
            const column = Math.min(Math.max(x + right, 0), width - 1);
            const value = data[(row + column) * 3 + channel];
            let place = count++;
            for (; place && window[place - 1] > value; place--) window[place] = window[place - 1];
            window[place] = value;
          }
        }
        made[(y * width + x) * 3 + channel] = window[12];
      }
    }
  }
  return made;
};
