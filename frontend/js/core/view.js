/**
 * The one transform between the photo and the screen, and everything that changes it.
 *
 * Three frames exist. Image pixels are what the document and the wire speak. Screen (CSS) pixels are what
 * pointers speak, measured from the top left of the stage. Device pixels exist inside the stage alone.
 * The two point types are branded, so that mixing them up is a type error.
 *
 * @typedef {{readonly x: number, readonly y: number, readonly frame?: "image"}} ImagePoint
 * @typedef {{readonly x: number, readonly y: number, readonly frame?: "screen"}} ScreenPoint
 * @typedef {{readonly width: number, readonly height: number}} Size
 * @typedef {{readonly x: number, readonly y: number, readonly width: number, readonly height: number}} Box  in image pixels
 * @typedef {{readonly scale: number, readonly x: number, readonly y: number}} View  screen = image * scale + (x, y)
 * @typedef {{readonly top: number, readonly right: number, readonly bottom: number, readonly left: number}} Insets
 */

export const MIN_SCALE = 0.01;
export const MAX_SCALE = 32;

/** @type {View} */
export const IDENTITY = Object.freeze({ scale: 1, x: 0, y: 0 });

/** @param {number} scale */
const clampScale = (scale) => Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale));

/** @param {View} view @param {ImagePoint} point @returns {ScreenPoint} */
export const toScreen = (view, point) => ({ x: point.x * view.scale + view.x, y: point.y * view.scale + view.y });

/** @param {View} view @param {ScreenPoint} point @returns {ImagePoint} */
export const toImage = (view, point) => ({ x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale });

/** Sets the scale; what lies under `anchor` stays there. @param {View} view @param {ScreenPoint} anchor @param {number} scale @returns {View} */
export function scaleTo(view, anchor, scale) {
  const next = clampScale(scale);
  const k = next / view.scale;
  return { scale: next, x: anchor.x - (anchor.x - view.x) * k, y: anchor.y - (anchor.y - view.y) * k };
}

/** @param {View} view @param {ScreenPoint} anchor @param {number} factor @returns {View} */
export const zoomAt = (view, anchor, factor) => scaleTo(view, anchor, view.scale * factor);

/** @param {View} view @param {number} dx @param {number} dy screen pixels @returns {View} */
export const pan = (view, dx, dy) => ({ scale: view.scale, x: view.x + dx, y: view.y + dy });

/**
 * Two fingers moved: what was between them stays between them.
 * @param {View} view @param {readonly [ScreenPoint, ScreenPoint]} from @param {readonly [ScreenPoint, ScreenPoint]} to
 * @returns {View}
 */
export function pinch(view, from, to) {
  const middle = (/** @type {readonly [ScreenPoint, ScreenPoint]} */ pair) => ({
    x: (pair[0].x + pair[1].x) / 2,
    y: (pair[0].y + pair[1].y) / 2,
  });
  const spread = (/** @type {readonly [ScreenPoint, ScreenPoint]} */ pair) =>
    Math.max(1, Math.hypot(pair[1].x - pair[0].x, pair[1].y - pair[0].y));
  const a = middle(from);
  const b = middle(to);
  return pan(zoomAt(view, a, spread(to) / spread(from)), b.x - a.x, b.y - a.y);
}

/**
 * The whole photo, centred in what the insets leave free; small photos are not blown up past `most`.
 * @param {Size} image @param {Size} viewport screen pixels @param {Insets} insets @param {number} [most]
 * @returns {View}
 */
export function fit(image, viewport, insets, most = 1) {
  const width = Math.max(16, viewport.width - insets.left - insets.right);
  const height = Math.max(16, viewport.height - insets.top - insets.bottom);
  const scale = clampScale(Math.min(width / image.width, height / image.height, most));
  return {
    scale,
    x: insets.left + (width - image.width * scale) / 2,
    y: insets.top + (height - image.height * scale) / 2,
  };
}

/**
 * The same place of another photo at the same zoom: what was in the middle is, in shares of the photo's size.
 * @param {View} view @param {Size} from @param {Size} to @param {Size} viewport @returns {View}
 */
export function carried({ scale, x, y }, from, to, viewport) {
  const place = (
    /** @type {number} */ at,
    /** @type {number} */ was,
    /** @type {number} */ is,
    /** @type {number} */ room,
  ) => room / 2 - ((room / 2 - at) / was) * is;
  return {
    scale,
    x: place(x, from.width, to.width, viewport.width),
    y: place(y, from.height, to.height, viewport.height),
  };
}

/** A view on the way from one to another. @param {View} from @param {View} to @param {number} share 0 to 1 @returns {View} */
export function between(from, to, share) {
  const mix = (/** @type {number} */ a, /** @type {number} */ b) => a + (b - a) * share;
  return { scale: mix(from.scale, to.scale), x: mix(from.x, to.x), y: mix(from.y, to.y) };
}

/**
 * A box of the photo with an eighth of it on every side, and no further beyond the photo's edges than needed.
 * @param {Box} box @param {Size} image @param {Size} viewport screen pixels
 * @returns {View}
 */
export function around(box, image, viewport) {
  const scale = clampScale(Math.min(viewport.width / (1.25 * box.width), viewport.height / (1.25 * box.height)));
  const place = (/** @type {number} */ middle, /** @type {number} */ length, /** @type {number} */ room) => {
    if (length * scale <= room) return (room - length * scale) / 2;
    return Math.min(0, Math.max(room - length * scale, room / 2 - middle * scale));
  };
  return {
    scale,
    x: place(box.x + box.width / 2, image.width, viewport.width),
    y: place(box.y + box.height / 2, image.height, viewport.height),
  };
}

/**
 * Keeps at least `margin` screen pixels of the photo in sight.
 * @param {View} view @param {Size} image @param {Size} viewport @param {number} [margin]
 * @returns {View}
 */
export function keepInSight(view, image, viewport, margin = 64) {
  const clamp = (/** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ room) =>
    Math.min(room - margin, Math.max(margin - length, at));
  return {
    scale: view.scale,
    x: clamp(view.x, image.width * view.scale, viewport.width),
    y: clamp(view.y, image.height * view.scale, viewport.height),
  };
}

/** The part of the photo on screen, clipped to it. @param {View} view @param {Size} image @param {Size} viewport @returns {Box} */
export function visibleBox(view, image, viewport) {
  const a = toImage(view, { x: 0, y: 0 });
  const b = toImage(view, { x: viewport.width, y: viewport.height });
  const x = Math.max(0, a.x);
  const y = Math.max(0, a.y);
  return {
    x,
    y,
    width: Math.max(0, Math.min(image.width, b.x) - x),
    height: Math.max(0, Math.min(image.height, b.y) - y),
  };
}

/** @param {Box} box @param {number} by on every side @returns {Box} */
export const grown = ({ x, y, width, height }, by) => ({
  x: x - by,
  y: y - by,
  width: width + 2 * by,
  height: height + 2 * by,
});

/** What two boxes share; null when that is nothing. @param {Box} a @param {Box} b @returns {Box | null} */
export function intersection(a, b) {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

/** Around all of at least one box. @param {readonly Box[]} boxes @returns {Box} */
export function union(boxes) {
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  const right = Math.max(...boxes.map((box) => box.x + box.width));
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  return { x, y, width: right - x, height: bottom - y };
}

/** @param {Box} a @param {Box} b */
export const overlaps = (a, b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** Whether a patch is a picture of the whole photo, which may be clear where the photo is not. @param {Box} box @param {Size} image */
export const covers = (box, image) => box.width >= image.width && box.height >= image.height;
