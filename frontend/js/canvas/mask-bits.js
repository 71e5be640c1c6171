/**
 * Masks as the server answers with them: PNG of one bit a pixel. A browser makes four bytes of each pixel before it
 * reduces them, which for a photo's worth takes ten times as long as to count bits.
 *
 * @typedef {object} Bits
 * @property {number} width @property {number} height
 * @property {number} stride bytes of a row: its filter, and then one for eight pixels each
 * @property {Uint8Array} rows
 */

const [SIGNATURE, IDAT] = [0x89504e47, 0x49444154];
const [NONE, UP] = [0, 2];
/** How many bits of each byte are set. */
const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

/** @param {Uint8Array<ArrayBuffer>} png @returns {Promise<Bits | null>} null: a picture of another kind */
export async function readBits(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  if (png.length < 33 || view.getUint32(0) !== SIGNATURE) return null;
  const [width, height, depth, colour, interlaced] = [
    view.getUint32(16),
    view.getUint32(20),
    png[24],
    png[25],
    png[28],
  ];
  if (depth !== 1 || colour !== 0 || interlaced !== 0) return null;
  const parts = [];
  for (let at = 8; at + 12 <= png.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === IDAT) parts.push(png.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const inflated = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const rows = new Uint8Array(await new Response(inflated).arrayBuffer());
  const stride = 1 + Math.ceil(width / 8);
  return rows.length === height * stride && unfilter(rows, stride) ? { width, height, stride, rows } : null;
}

/** @param {Uint8Array} rows become what they were before filters @param {number} stride @returns {boolean} false: by a filter that is not known here */
function unfilter(rows, stride) {
  for (let row = 0; row < rows.length; row += stride) {
    if (rows[row] !== NONE && rows[row] !== UP) return false;
    if (rows[row] === NONE || row === 0) continue;
    for (let i = row + 1; i < row + stride; i++) rows[i] += rows[i - stride];
  }
  return true;
}

/**
 * Some rows of the mask made smaller, as opaque as it is light: RGBA.
 * @param {Bits} bits @param {number} reduction a power of two @param {number} top @param {number} bottom of what is made
 */
export function opacity({ width, height, stride, rows }, reduction, top, bottom) {
  const columns = Math.ceil(width / reduction);
  const pixels = new Uint8ClampedArray(4 * columns * (bottom - top)).fill(255);
  const ones = new Uint32Array(8 * stride); // longer than a row: the last byte may go beyond it
  for (let y = top; y < bottom; y++) {
    const [first, last] = [y * reduction, Math.min(height, (y + 1) * reduction)];
    ones.fill(0);
    for (let row = first; row < last; row++)
      count(rows.subarray(row * stride + 1, (row + 1) * stride), reduction, ones);
    for (let x = 0; x < columns; x++) {
      const area = (last - first) * Math.min(reduction, width - x * reduction);
      pixels[4 * ((y - top) * columns + x) + 3] = (255 * ones[x]) / area;
    }
  }
  return pixels;
}

/** @param {Uint8Array} row @param {number} reduction @param {Uint32Array} ones set bits for each pixel of what is made */
function count(row, reduction, ones) {
  const inByte = 8 / reduction;
  const mask = 2 ** reduction - 1;
  for (let i = 0; i < row.length; i++) {
    if (row[i] === 0) continue;
    if (inByte <= 1) ones[Math.floor(i * inByte)] += ONES[row[i]];
    else
      for (let part = 0; part < inByte; part++)
        ones[i * inByte + part] += ONES[(row[i] >> (8 - (part + 1) * reduction)) & mask];
  }
}
