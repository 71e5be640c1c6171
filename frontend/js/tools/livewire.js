/**
 * The tool that follows edges while it is drawn: Mortensen and Barrett, "Intelligent Scissors for Image Composition",
 * 1995, on the pixels that the window shows. Loaded with the tools that select.
 *
 * Around an anchor the cheapest way to every pixel is known, so that the line to the pointer is only read. Where the
 * pointer has gone far enough, the line stays as it is, and its end is the next anchor.
 *
 * @typedef {import("../core/view.js").ImagePoint} ImagePoint
 * @typedef {import("../core/view.js").ScreenPoint} ScreenPoint
 * @typedef {{readonly width: number, readonly height: number, readonly data: Uint8ClampedArray}} Pixels  RGBA
 * @typedef {object} Window  what is shown around an anchor
 * @property {Pixels} pixels
 * @property {(point: ImagePoint) => ScreenPoint} place      where in these pixels
 * @property {(x: number, y: number) => ImagePoint} point    the middle of one of them
 */

import { poly } from "../core/shapes.js";

/** In screen pixels: how far around an anchor ways are known, how long a line stays open, how near an edge attracts. */
export const REACH = 96;
const OPEN = 64;
const NEAR = 8;
/** Of a pixel on no edge; one on the strongest costs 1. */
const DEAREST = 32;
/** Weaker differences of neighbouring levels are noise. */
const LEAST_EDGE = 24;
const STRAIGHT = 5;
const DIAGONAL = 7;

/** @param {ImagePoint} start @param {import("./tools.js").Setting} setting @param {(at: ImagePoint) => Window} seen */
export function liveWire(start, setting, seen) {
  let wire = wireFrom(seen(start), start);
  /** @type {ImagePoint[]} */
  const kept = [];
  let open = wire.to(start);
  /** @param {ImagePoint} point */
  const follow = (point) => {
    for (let off = wire.distance(point); off > OPEN; off = wire.distance(point)) {
      const way = wire.to(wire.towards(point, OPEN / off));
      const anchor = way[way.length - 1];
      kept.push(...way.slice(0, -1));
      wire = wireFrom(seen(anchor), anchor, 0);
      if (wire.distance(point) >= off) break; // beside the photo nothing is shown that could be followed
    }
    open = wire.to(point);
  };
  return {
    /** @param {readonly ImagePoint[]} more */
    move: (more) => more.forEach(follow),
    preview: () => ({ kind: /** @type {const} */ ("outline"), op: setting.op, points: [...kept, ...open] }),
    end: () => poly([...kept, ...open], setting.op),
  };
}

/** @param {Window} seen @param {ImagePoint} start @param {number} near  how far it may be moved to an edge */
function wireFrom({ pixels, place, point }, start, near = NEAR) {
  const { width, height } = pixels;
  const edges = edgesOf(pixels);
  /** @param {ImagePoint} to */
  const inside = (to) => {
    const { x, y } = place(to);
    return [Math.min(Math.max(Math.floor(x), 0), width - 1), Math.min(Math.max(Math.floor(y), 0), height - 1)];
  };
  const anchor = strongest(edges, width, height, inside(start), near);
  const before = cheapestWays(edges, width, height, anchor);
  const from = point(anchor % width, Math.floor(anchor / width));
  return {
    /** In screen pixels. @param {ImagePoint} to */
    distance(to) {
      const [a, b] = [place(from), place(to)];
      return Math.hypot(a.x - b.x, a.y - b.y);
    },
    /** @param {ImagePoint} to @param {number} share */
    towards: (to, share) => ({ x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y) }),
    /** From the anchor to the strongest edge near there. @param {ImagePoint} to */
    to(to) {
      const way = [];
      for (let at = strongest(edges, width, height, inside(to)); at >= 0; at = before[at])
        way.push(point(at % width, Math.floor(at / width)));
      return way.reverse();
    },
  };
}

/** How much each pixel differs from its neighbours. @param {Pixels} pixels */
export function edgesOf({ width, height, data }) {
  const edges = new Float32Array(width * height);
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const at = 4 * (y * width + x);
      for (let channel = at; channel < at + 3; channel++) {
        const across = data[channel + 4] - data[channel - 4];
        const down = data[channel + 4 * width] - data[channel - 4 * width];
        edges[at / 4] = Math.max(edges[at / 4], Math.hypot(across, down));
      }
    }
  return edges;
}

/** The pixel to hold on to: on an edge, and near. @param {Float32Array} edges @param {number} width @param {number} height @param {number[]} at @param {number} near */
function strongest(edges, width, height, [x, y], near = NEAR) {
  let best = y * width + x;
  let most = LEAST_EDGE;
  for (let row = Math.max(0, y - near); row <= Math.min(height - 1, y + near); row++)
    for (let column = Math.max(0, x - near); column <= Math.min(width - 1, x + near); column++) {
      const worth = edges[row * width + column] * (1 - Math.hypot(column - x, row - y) / (2 * NEAR));
      if (worth > most) [best, most] = [row * width + column, worth];
    }
  return best;
}

/**
 * Which pixel comes before each one on the cheapest way from the start (Dijkstra, with a bucket for each price); -1 for the start.
 * @param {Float32Array} edges @param {number} width @param {number} height @param {number} start
 */
export function cheapestWays(edges, width, height, start) {
  const strong =
    Math.max(
      2 * LEAST_EDGE,
      edges.reduce((most, edge) => Math.max(most, edge), 0),
    ) / 2;
  const price = Uint8Array.from(edges, (edge) => 1 + DEAREST * (1 - Math.min(1, edge / strong)) ** 2);
  const before = new Int32Array(width * height).fill(-1);
  const cost = new Int32Array(width * height).fill(2 ** 30);
  /** @type {number[][]} */
  const buckets = Array.from({ length: DIAGONAL * (DEAREST + 1) + 1 }, () => []);
  cost[start] = 0;
  buckets[0].push(start);
  let waiting = 1;
  for (let paid = 0; waiting > 0; paid++) {
    const bucket = buckets[paid % buckets.length];
    for (let at = bucket.pop(); at !== undefined; at = bucket.pop()) {
      waiting--;
      if (cost[at] !== paid) continue; // a cheaper way was found meanwhile
      const [x, y] = [at % width, Math.floor(at / width)];
      for (let dy = y > 0 ? -1 : 0; dy <= (y < height - 1 ? 1 : 0); dy++)
        for (let dx = x > 0 ? -1 : 0; dx <= (x < width - 1 ? 1 : 0); dx++) {
          const next = at + dy * width + dx;
          const total = paid + (dx && dy ? DIAGONAL : STRAIGHT) * price[next];
          if (total >= cost[next]) continue;
          cost[next] = total;
          before[next] = at;
          buckets[total % buckets.length].push(next);
          waiting++;
        }
    }
  }
  return before;
}
