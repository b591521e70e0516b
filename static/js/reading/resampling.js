// Pillow's resampling, to the last bit: `Image.resize` and `Image.reduce` of pixels of 8 bits and of
// single floats. A picture is { width, height, channels, data }, row by row from its top left corner.

const PRECISION = 22; // bits behind the point of a weight, as Pillow has for 8 bits a channel

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
export const LANCZOS = { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) };
export const BILINEAR = {
  support: 1,
  weight: (x) => (Math.abs(x) < 1 ? 1 - Math.abs(x) : 0),
};

/** As Python's `round`: to the nearest whole number, halves to the even one. */
export const round = (value) => {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 ? below + 1 : below;
};

/** For each pixel of the result: from which one on it is made, and with which weights. */
const weightsOf = (length, start, stop, size, filter) => {
  const scale = Math.fround(Math.fround(stop) - Math.fround(start)) / size;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  return Array.from({ length: size }, (_, n) => {
    const centre = Math.fround(start) + (n + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = [];
    let sum = 0;
    for (let x = first; x < last; x++) {
      weights.push(filter.weight((x - centre + 0.5) * (1 / wide)));
      sum += weights.at(-1);
    }
    return { first, weights: sum ? weights.map((one) => one / sum) : weights };
  });
};

const whole = ({ first, weights }) => ({
  first,
  weights: weights.map((one) => Math.trunc(one * 2 ** PRECISION + (one < 0 ? -0.5 : 0.5))),
});

/** One direction. along, across: how far apart neighbours lie in the data, in values. */
const pass = (data, made, taps, lines, { along, madeAlong, across, madeAcross, channels }) => {
  const isBytes = made instanceof Uint8ClampedArray;
  taps.forEach(({ first, weights }, n) => {
    for (let line = 0; line < lines; line++) {
      for (let channel = 0; channel < channels; channel++) {
        let at = first * along + line * across + channel;
        let sum = isBytes ? 2 ** (PRECISION - 1) : 0;
        for (const weight of weights) {
          sum += data[at] * weight;
          at += along;
        }
        made[n * madeAlong + line * madeAcross + channel] = isBytes
          ? Math.floor(sum / 2 ** PRECISION)
          : sum;
      }
    }
  });
};

/** box: left, top, right, bottom in pixels of the picture; the whole if it is left out. */
export const resize = (picture, width, height, filter, box) => {
  const [left, top, right, bottom] = box ?? [0, 0, picture.width, picture.height];
  const { channels } = picture;
  const isBytes = picture.data instanceof Uint8ClampedArray;
  const Kind = isBytes ? Uint8ClampedArray : Float32Array;
  const taps = (...place) => weightsOf(...place, filter).map(isBytes ? whole : (one) => one);

  const across = (from) => {
    if (width === from.width && !left && right === width) return from;
    const data = new Kind(width * from.height * channels);
    pass(from.data, data, taps(from.width, left, right, width), from.height, {
      along: channels,
      madeAlong: channels,
      across: from.width * channels,
      madeAcross: width * channels,
      channels,
    });
    return { ...from, width, data };
  };
  const down = (from) => {
    if (height === from.height && !top && bottom === height) return from;
    const data = new Kind(from.width * height * channels);
    pass(from.data, data, taps(from.height, top, bottom, height), from.width, {
      along: from.width * channels,
      madeAlong: from.width * channels,
      across: channels,
      madeAcross: channels,
      channels,
    });
    return { ...from, height, data };
  };
  // Which goes first is seen in the rounding between the two.
  const lost = [picture.width - width, picture.height - height];
  const isDownFirst = lost[1] > 0 && lost[1] > 2 * lost[0];
  return isDownFirst ? across(down(picture)) : down(across(picture));
};

/** Means over blocks; of those at the right and the bottom what there is of them. */
export const reduced = (picture, acrossBy, downBy) => {
  const { channels, data } = picture;
  const width = Math.ceil(picture.width / acrossBy);
  const height = Math.ceil(picture.height / downBy);
  const made = new Uint8ClampedArray(width * height * channels);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min(picture.height, (y + 1) * downBy);
    for (let x = 0; x < width; x++) {
      const right = Math.min(picture.width, (x + 1) * acrossBy);
      const count = (bottom - y * downBy) * (right - x * acrossBy);
      const multiplier = Math.trunc(Math.fround(2 ** 32 / Math.fround(256 * count)));
      for (let channel = 0; channel < channels; channel++) {
        let sum = Math.trunc(count / 2);
        for (let row = y * downBy; row < bottom; row++) {
          for (let column = x * acrossBy; column < right; column++) {
            sum += data[(row * picture.width + column) * channels + channel];
          }
        }
        made[(y * width + x) * channels + channel] = Math.floor((sum * multiplier) / 2 ** 24);
      }
    }
  }
  return { width, height, channels, data: made };
};

/** `Image.resize` of a whole picture with `reducing_gap`. */
export const resizeWithGap = (picture, width, height, filter, gap) => {
  const acrossBy = Math.trunc(picture.width / width / gap) || 1;
  const downBy = Math.trunc(picture.height / height / gap) || 1;
  if (acrossBy === 1 && downBy === 1) return resize(picture, width, height, filter);
  const smaller = reduced(picture, acrossBy, downBy);
  const box = [0, 0, picture.width / acrossBy, picture.height / downBy];
  return resize(smaller, width, height, filter, box);
};

/** A part: columns and rows from (left, top) up to, without, (right, bottom). */
export const crop = ({ width, channels, data }, left, top, right, bottom) => {
  const made = new Uint8ClampedArray((right - left) * (bottom - top) * channels);
  for (let y = top; y < bottom; y++) {
    const row = data.subarray((y * width + left) * channels, (y * width + right) * channels);
    made.set(row, (y - top) * (right - left) * channels);
  }
  return { width: right - left, height: bottom - top, channels, data: made };
};

/** Pillow's luma of each pixel, 0..255. */
export const luma = ({ width, height, data }) =>
  Float32Array.from(
    { length: width * height },
    (_, n) =>
      (data[3 * n] * 19595 + data[3 * n + 1] * 38470 + data[3 * n + 2] * 7471 + 0x8000) >> 16,
  );
