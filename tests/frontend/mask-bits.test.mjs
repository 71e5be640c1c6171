/** Masks of one bit a pixel, read and made smaller. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { opacity, readBits } from "../../frontend/js/canvas/mask-bits.js";

const [WIDTH, HEIGHT] = [37, 21];
/** @param {number} x @param {number} y */
const isPainted = (x, y) => (x - 20) ** 2 + (y - 9) ** 2 < 90 || x > 34;

/** @param {string} kind @param {Uint8Array} data */
function chunk(kind, data) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return [length, Buffer.from(kind), data, Buffer.alloc(4)];
}

/** A PNG of the painted pixels in two chunks. @param {number} filter @param {number} [depth] */
function pictureOf(filter, depth = 1) {
  const bytes = Math.ceil(WIDTH / 8);
  const rows = Array.from({ length: HEIGHT }, (_, y) =>
    Uint8Array.from({ length: bytes }, (_, i) => {
      let byte = 0;
      for (let bit = 0; bit < 8; bit++) byte = 2 * byte + Number(8 * i + bit < WIDTH && isPainted(8 * i + bit, y));
      return byte;
    }),
  );
  const filtered = rows.flatMap((row, y) => [
    filter,
    ...row.map((byte, i) => byte - (filter && y ? rows[y - 1][i] : 0)),
  ]);
  const data = deflateSync(Uint8Array.from(filtered));
  const header = Buffer.from([0, 0, 0, WIDTH, 0, 0, 0, HEIGHT, depth, 0, 0, 0, 0]);
  const parts = [chunk("IHDR", header), chunk("IDAT", data.subarray(0, 9)), chunk("IDAT", data.subarray(9))];
  return new Uint8Array(Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts.flat()]));
}

/** @param {number} reduction @param {number} x @param {number} y */
function share(reduction, x, y) {
  let [painted, seen] = [0, 0];
  for (let row = y * reduction; row < Math.min(HEIGHT, (y + 1) * reduction); row++) {
    for (let column = x * reduction; column < Math.min(WIDTH, (x + 1) * reduction); column++) {
      seen++;
      painted += Number(isPainted(column, row));
    }
  }
  return Math.round((255 * painted) / seen);
}

for (const filter of [0, 2]) {
  test(`each pixel of a reduced mask is as opaque as what it stands for is painted, filter ${filter}`, async () => {
    const bits = await readBits(pictureOf(filter));
    assert.ok(bits);
    assert.deepEqual([bits.width, bits.height], [WIDTH, HEIGHT]);
    for (const reduction of [1, 2, 4, 8, 16, 64]) {
      const [columns, rows] = [Math.ceil(WIDTH / reduction), Math.ceil(HEIGHT / reduction)];
      const top = rows > 1 ? 1 : 0; // a strip, as of a large mask
      const made = opacity(bits, reduction, top, rows);
      assert.equal(made.length, 4 * columns * (rows - top));
      for (let y = top; y < rows; y++)
        for (let x = 0; x < columns; x++)
          assert.equal(made[4 * ((y - top) * columns + x) + 3], share(reduction, x, y), `${reduction}: ${x}, ${y}`);
    }
  });
}

test("pictures of another kind are left to the browser", async () => {
  assert.equal(await readBits(pictureOf(0, 8)), null);
  assert.equal(await readBits(pictureOf(1)), null);
  assert.equal(await readBits(Uint8Array.from([0xff, 0xd8, 0xff])), null);
});

test("a picture that is cut off is refused", async () => {
  await assert.rejects(readBits(pictureOf(2).slice(0, 60)));
});
