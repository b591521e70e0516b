// As ml/opening/pictures.py: a file to pixels, upright, sRGB, opaque. What decodes it is the browser,
// so a JPEG's pixels may differ by a shade from those of the site.

import { reduced } from "./resampling.js";

const BAND = 256; // rows that are drawn at a time: no canvas as large as the picture is needed

/** Why a file is not read, in words for the person. */
export class Refused extends Error {}

const text = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

/** By the first bytes: a file's name has no say. */
const kindOf = (bytes) => {
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return "jpeg";
  if (text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n") return "png";
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP") return "webp";
  if (text(bytes, 4, 8) !== "ftyp") return null;
  const brand = text(bytes, 8, 12);
  if (["avis", "msf1", "hevc", "hevx", "hevm", "hevs"].includes(brand)) return "sequence";
  return ["avif", "heic", "heix", "heim", "heis", "mif1"].includes(brand) ? brand : null;
};

/** Of a PNG, its chunks: kind and where the content begins. */
function* chunks(bytes) {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    yield [text(bytes, at + 4, at + 8), at + 8];
  }
}

const isAnimated = (kind, bytes) => {
  if (kind === "sequence") return true;
  if (kind === "webp") return text(bytes, 12, 16) === "VP8X" && Boolean(bytes[20] & 2);
  if (kind !== "png") return false;
  const view = new DataView(bytes.buffer);
  return [...chunks(bytes)].some(([name, at]) => name === "acTL" && view.getUint32(at) > 1);
};

/** Some browsers change what a page reads of a canvas, against being recognised. */
const isTrue = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [16, 16];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const drawn = new ImageData(16, 16);
  drawn.data.forEach((_, n) => (drawn.data[n] = n % 4 === 3 ? 255 : (n * 37) % 256));
  context.putImageData(drawn, 0, 0);
  const seen = context.getImageData(0, 0, 16, 16).data;
  return drawn.data.every((value, n) => value === seen[n]);
};

const decoded = async (file, kind, bytes, words) => {
  // Without a profile of its own a picture counts as sRGB: a bare gamma is left aside, as on the site.
  const isPlain = kind === "png" && ![...chunks(bytes)].some(([name]) => name === "iCCP");
  try {
    return await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: isPlain ? "none" : "default",
    });
  } catch {
    throw new Refused(kind === "jpeg" || kind === "png" ? words.damaged : words.unknown);
  }
};

const rgbOf = ({ width, height, data }) => {
  const made = new Uint8ClampedArray(width * height * 3);
  for (let n = 0; n < width * height; n++) {
    made[3 * n] = data[4 * n];
    made[3 * n + 1] = data[4 * n + 1];
    made[3 * n + 2] = data[4 * n + 2];
  }
  return { width, height, channels: 3, data: made };
};

/** { width, height, channels, data }. Raises Refused. */
export const open = async (file, rules) => {
  const { limits } = rules;
  const words = rules.words.refused;
  if (file.size > limits.max_bytes) throw new Refused(words.too_large);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const kind = kindOf(bytes);
  if (!kind) throw new Refused(words.other);
  if (isAnimated(kind, bytes)) throw new Refused(words.animated);
  if (!isTrue()) throw new Refused(words.changed);
  const bitmap = await decoded(file, kind, bytes, words);
  const { width, height } = bitmap;
  try {
    if (width * height > limits.max_pixels) throw new Refused(words.too_many_pixels);
    let factor = 1;
    while ((width / factor) * (height / factor) > limits.kept_pixels) factor *= 2;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, Math.min(BAND, height)];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const made = {
      width: Math.ceil(width / factor),
      height: Math.ceil(height / factor),
      channels: 3,
      data: new Uint8ClampedArray(Math.ceil(width / factor) * Math.ceil(height / factor) * 3),
    };
    for (let top = 0; top < height; top += BAND) {
      context.fillStyle = "white"; // what is transparent
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(bitmap, 0, -top);
      const rows = Math.min(BAND, height - top);
      const band = rgbOf(context.getImageData(0, 0, width, rows));
      const { data } = factor > 1 ? reduced(band, factor, factor) : band;
      made.data.set(data, (top / factor) * made.width * 3);
    }
    return made;
  } finally {
    bitmap.close();
  }
};
