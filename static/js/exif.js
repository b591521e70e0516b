// When a picture was taken, from its EXIF block, before anything is sent. Never throws: unreadable
// values count as missing. The server reads the same in ml/opening/exif.py and ml/opening/containers.py.

const NONE = { day: "", noDay: "" };

const ascii = (bytes, from, length) => String.fromCharCode(...bytes.subarray(from, from + length));

const segments = function* (bytes) {
  // A JPEG's, up to the pixels.
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === 0xda || marker === 0xd9) return;
    const length = bytes[at + 2] * 256 + bytes[at + 3];
    if (length < 2) return;
    yield { marker, start: at + 4, end: at + 2 + length };
    at += 2 + length;
  }
};

const chunks = function* (bytes, view, first, isLittle) {
  // A PNG's (length, kind) or a WebP's (kind, length).
  let at = first;
  while (at + 8 <= bytes.length) {
    const length = view.getUint32(isLittle ? at + 4 : at, isLittle);
    yield { kind: ascii(bytes, isLittle ? at : at + 4, 4), start: at + 8, end: at + 8 + length };
    at += isLittle ? 8 + length + (length % 2) : 12 + length;
  }
};

const searched = (bytes) => {
  // In HEIC and AVIF the block may be anywhere.
  for (let at = 0; at + 8 <= bytes.length; at += 1) {
    const first = bytes[at];
    if (first !== 0x49 && first !== 0x4d) continue;
    const head = ascii(bytes, at, 8);
    if (head === "II*\0\x08\0\0\0" || head === "MM\0*\0\0\0\x08") return at;
  }
  return -1;
};

const blockOf = (bytes, view) => {
  const between = (start, end) =>
    bytes.subarray(ascii(bytes, start, 6) === "Exif\0\0" ? start + 6 : start, end);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    for (const { marker, start, end } of segments(bytes)) {
      if (marker === 0xe1 && ascii(bytes, start, 6) === "Exif\0\0") return between(start, end);
    }
    return null;
  }
  const [first, isLittle, wanted] =
    ascii(bytes, 0, 4) === "\x89PNG"
      ? [8, false, "eXIf"]
      : ascii(bytes, 8, 4) === "WEBP"
        ? [12, true, "EXIF"]
        : [bytes.length, true, ""];
  for (const { kind, start, end } of chunks(bytes, view, first, isLittle)) {
    if (kind === wanted) return between(start, end);
  }
  const found = ascii(bytes, 4, 4) === "ftyp" ? searched(bytes) : -1;
  return found < 0 ? null : bytes.subarray(found);
};

const dateTimeOriginal = (block) => {
  const order = ascii(block, 0, 4);
  if (order !== "II*\0" && order !== "MM\0*") return "";
  const isLittle = order === "II*\0";
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const find = (directory, wanted, types) => {
    if (directory < 8) return -1;
    const count = view.getUint16(directory, isLittle);
    for (let n = 0; n < count; n += 1) {
      const at = directory + 2 + 12 * n;
      if (at + 12 > block.length) break;
      if (view.getUint16(at, isLittle) !== wanted) continue;
      return types.includes(view.getUint16(at + 2, isLittle)) ? at : -1;
    }
    return -1;
  };
  const [ASCII, SHORT, LONG] = [2, 3, 4];
  const pointer = find(view.getUint32(4, isLittle), 0x8769, [SHORT, LONG]);
  if (pointer < 0) return "";
  const isLong = view.getUint16(pointer + 2, isLittle) === LONG;
  const second = isLong ? view.getUint32(pointer + 8, isLittle) : view.getUint16(pointer + 8, isLittle);
  const told = find(second, 0x9003, [ASCII]);
  if (told < 0) return "";
  const length = view.getUint32(told + 4, isLittle);
  if (length <= 4) return "";
  return ascii(block, view.getUint32(told + 8, isLittle), Math.min(length, 200)).split("\0")[0].trim();
};

/** ``day``: when the picture was taken ("2024-03-16"); ``noDay``: the text of a day that the calendar
 * does not have. Either is "" if the file has none, both where the camera's clock was never set. */
export const takenOn = async (file) => {
  try {
    const buffer = await file.arrayBuffer();
    const [bytes, view] = [new Uint8Array(buffer), new DataView(buffer)];
    const block = blockOf(bytes, view);
    const found = block && /^(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)/.exec(dateTimeOriginal(block));
    if (!found) return NONE;
    const day = found.slice(1).join("-");
    const moment = new Date(`${day}T00:00:00Z`);
    const isOne = !Number.isNaN(moment.valueOf()) && moment.toISOString().startsWith(day);
    if (isOne && found[1] !== "0000") return { day, noDay: "" };
    return { day: "", noDay: /[1-9]/.test(day) ? found[0] : "" };
  } catch {
    return NONE;
  }
};
