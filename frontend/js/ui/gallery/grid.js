/**
 * A grid of photos of any length: only the rows in sight, and a few beside them, are in the page.
 *
 * @typedef {import("../../session/here.js").Item} Item
 * @typedef {object} Ports
 * @property {(item: Item) => void} open
 * @property {(item: Item) => Promise<string>} pictureOf  URL; "" when there is none
 * @property {(item: Item) => Promise<boolean>} failed  its picture cannot be shown; whether it may be later
 * @property {(item: Item) => string | undefined} resultOf  URL of what was made of it; "": something without a picture
 */

import { icon, make } from "../dom.js";
import { t } from "../i18n.js";

const LEAST_TILE_PX = 200;
const MOST_SHARE = 0.42;
const GAP_PX = 16;
const NAME_PX = 34;
const ROWS_BESIDE = 2;
/** Tiles that go by faster ask for no picture: the server would make thousands that are not looked at. */
const STAYS_MS = 100;
const AGAIN_MS = 1000;
const MOST_TRIES = 20;

/** @param {HTMLElement} room that scrolls @param {HTMLElement} list @param {Ports} ports */
export function createGrid(room, list, ports) {
  /** @type {readonly Item[]} */
  let items = [];
  let openKey = "";
  let focused = 0;
  let measures = { columns: 1, width: LEAST_TILE_PX, height: LEAST_TILE_PX };
  /** @type {Map<string, {tile: HTMLElement, item: Item, result: string | undefined}>} by key */
  const tiles = new Map();
  let requested = 0;

  const measure = () => {
    const width = Math.max(1, list.clientWidth);
    const least = Math.min(LEAST_TILE_PX, room.clientWidth * MOST_SHARE);
    const columns = Math.max(1, Math.floor((width + GAP_PX) / (least + GAP_PX)));
    const tile = (width - (columns - 1) * GAP_PX) / columns;
    measures = { columns, width: tile, height: (tile * 2) / 3 + NAME_PX + GAP_PX };
    list.style.height = `${Math.ceil(items.length / columns) * measures.height}px`;
  };

  const render = () => {
    requested = 0;
    const { columns, height } = measures;
    const first = (Math.floor(room.scrollTop / height) - ROWS_BESIDE) * columns;
    const last = (Math.ceil((room.scrollTop + room.clientHeight) / height) + ROWS_BESIDE) * columns;
    const wanted = new Map();
    const open = room.clientHeight > 0; // closed, the gallery holds no pictures
    items.forEach((item, at) => {
      if (open && ((at >= first && at < last) || at === focused)) wanted.set(item.key, at);
    });
    for (const [key, { tile, item, result }] of tiles) {
      const at = wanted.get(key);
      if (at !== undefined && items[at] === item && ports.resultOf(item) === result) continue;
      if (tile.contains(document.activeElement)) list.focus();
      for (const picture of tile.querySelectorAll("img")) picture.src = ""; // what is still on its way is not wanted
      tile.remove();
      tiles.delete(key);
    }
    for (const [key, at] of wanted) place(key, at);
  };
  const renderSoon = () => {
    if (!requested) requested = requestAnimationFrame(render);
  };

  /** @param {string} key @param {number} at */
  const place = (key, at) => {
    const item = items[at];
    const result = ports.resultOf(item);
    const known = tiles.get(key);
    const tile = known?.tile ?? makeTile(item, result);
    if (!known) {
      tiles.set(key, { tile, item, result });
      list.append(tile);
    }
    const [row, column] = [Math.floor(at / measures.columns), at % measures.columns];
    tile.style.width = `${measures.width}px`;
    tile.style.transform = `translate(${column * (measures.width + GAP_PX)}px, ${row * measures.height}px)`;
    tile.setAttribute("aria-posinset", String(at + 1));
    tile.setAttribute("aria-setsize", String(items.length));
    const button = /** @type {HTMLElement} */ (tile.firstElementChild);
    button.tabIndex = at === focused ? 0 : -1;
    button.dataset.at = String(at);
    if (key === openKey) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  };

  /** @param {Event} event of a picture that is here */
  const appear = ({ target }) => /** @type {HTMLElement} */ (target).classList.add("here");

  /** @param {Item} item */
  const pictureFor = (item) => {
    let tries = 0;
    const ask = async () => {
      if (!shown.isConnected) return;
      tries += 1;
      const url = await ports.pictureOf(item).catch(() => failed());
      if (url && shown.isConnected) shown.src = url;
    };
    const failed = async () => {
      if (shown.isConnected && (await ports.failed(item)) && tries < MOST_TRIES) setTimeout(ask, AGAIN_MS);
    };
    const shown = make("img", { alt: "", decoding: "async", onload: appear, onerror: failed });
    setTimeout(ask, STAYS_MS);
    return shown;
  };

  /** @param {Item} item @param {string | undefined} result */
  const makeTile = (item, result) => {
    const thumb = make("span", { class: "thumb" });
    if (item.broken) thumb.append(icon("warning"));
    else {
      thumb.append(pictureFor(item));
      if (result) {
        const beside = make("img", {
          alt: "",
          decoding: "async",
          src: result,
          onload: appear,
          onerror: () => beside.remove(),
        });
        thumb.append(beside);
      }
    }
    const name = make("span", { class: "name" }, make("span", { text: item.name }));
    if (item.broken) name.append(make("span", { class: "why", text: t("cannot be read") }));
    else if (result !== undefined) name.append(icon("done"), make("span", { class: "unseen", text: t("done") }));
    const button = { type: "button", class: `shot${item.broken ? " broken" : ""}`, title: item.name };
    return make("li", {}, make("button", { ...button, onclick: () => ports.open(item) }, thumb, name));
  };

  /** @param {number} at */
  const focus = (at) => {
    focused = Math.min(items.length - 1, Math.max(0, at));
    const top = Math.floor(focused / measures.columns) * measures.height;
    if (top < room.scrollTop) room.scrollTop = top;
    const below = top + measures.height - room.clientHeight;
    if (below > room.scrollTop) room.scrollTop = below;
    render();
    /** @type {HTMLElement | undefined} */ (
      tiles.get(items[focused]?.key ?? "")?.tile.querySelector("button") ?? undefined
    )?.focus({
      preventScroll: true,
    });
  };

  list.addEventListener("focusin", (event) => {
    const { at } = /** @type {HTMLElement} */ (event.target).dataset;
    if (at !== undefined && Number(at) !== focused) {
      focused = Number(at);
      renderSoon();
    }
  });
  list.addEventListener("keydown", (event) => {
    const rows = Math.max(1, Math.floor(room.clientHeight / measures.height));
    const by = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -measures.columns,
      ArrowDown: measures.columns,
      PageUp: -rows * measures.columns,
      PageDown: rows * measures.columns,
      Home: -items.length,
      End: items.length,
    }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    focus(focused + by);
  });
  room.addEventListener("scroll", renderSoon, { passive: true });
  new ResizeObserver(() => {
    measure();
    renderSoon();
  }).observe(room);

  return {
    /** @param {readonly Item[]} shown @param {string} key of the one that is open */
    show(shown, key) {
      const kept = items[focused]?.key;
      items = shown;
      openKey = key;
      focused = Math.max(
        0,
        items.findIndex((item) => item.key === kept),
      );
      measure();
      render();
    },
    /** The gallery was opened: the photo that is open in the page is in sight and has the focus. @param {string} key */
    enter(key) {
      measure();
      focus(
        Math.max(
          0,
          items.findIndex((item) => item.key === key),
        ),
      );
    },
  };
}
