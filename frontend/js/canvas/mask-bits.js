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
  const pixels = new Uint32Array(columns * (bottom - top));
  const lanes = lanesOf(reduction);
  const sums = new Uint32Array(stride - 1);
  const [inByte, bytes] = [Math.max(1, 8 / reduction), Math.max(1, reduction / 8)];
  const [lane, one] = [32 / inByte, inByte === 1 ? -1 : 2 ** (32 / inByte) - 1];
  const rest = width - (columns - 1) * reduction; // the last pixel of a row may stand for fewer
  let whites = new Uint32Array();
  for (let y = top, at = 0; y < bottom; y++) {
    const [first, last] = [y * reduction, Math.min(height, (y + 1) * reduction)];
    sums.fill(0);
    for (let row = first; row < last; row++) add(sums, lanes, rows, row * stride + 1);
    const area = (last - first) * reduction;
    if (whites.length !== area + 1) whites = Uint32Array.from({ length: area + 1 }, (_, n) => white(n / area));
    const end = at + columns;
    let ones = 0;
    for (let i = 0; i < sums.length; i += bytes) {
      let block = sums[i];
      for (let more = i + 1; more < i + bytes && more < sums.length; more++) block += sums[more];
      for (let shift = 0; shift < 32 && at < end; shift += lane) {
        ones = (block >>> shift) & one;
        pixels[at++] = whites[ones];
      }
    }
    pixels[end - 1] = white(ones / ((last - first) * rest));
  }
  return new Uint8ClampedArray(pixels.buffer);
}

/** @param {Uint32Array} sums @param {Uint32Array} lanes @param {Uint8Array} rows @param {number} from */
function add(sums, lanes, rows, from) {
  for (let i = 0; i < sums.length; i++) sums[i] += lanes[rows[from + i]];
}

/** White of that opacity, its bytes in the order of RGBA. @param {number} share */
const white = (share) => 0xffffff + 2 ** 24 * Math.round(255 * Math.min(1, share));

/**
 * How many bits of each byte are set for each of the pixels that it becomes, side by side in one number: what a block of
 * bytes adds up to fits.
 * @param {number} reduction
 */
function lanesOf(reduction) {
  const inByte = Math.max(1, 8 / reduction);
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let lanes = 0;
    for (let bit = 0; bit < 8; bit++) {
      const part = Math.floor((bit * inByte) / 8);
      if (byte & (128 >> bit)) lanes += 2 ** ((part * 32) / inByte);
    }
    return lanes;
  });
}
