/**
 * Suggestions: what people usually want gone, as outlines on the photo. A click takes one, and a button all of a sort.
 * Loaded when they are asked for first. Nothing is changed unasked.
 *
 * @typedef {import("../../wire/wire.js").FindingReply} Finding
 * @typedef {import("../../wire/wire.js").FindEvent} FindEvent
 * @typedef {import("./selecting.js").Ports} Ports
 */

import { shownEdits } from "../../core/document.js";
import { unionBounds } from "../../core/shapes.js";
import { documentOf } from "../../core/state.js";
import { toScreen } from "../../core/view.js";
import { API } from "../../net/api.js";
import { readLines } from "../../net/ndjson.js";
import { ApiError } from "../../wire/protocol.js";
import { find, make, setText } from "../dom.js";
import { t } from "../i18n.js";
import { downloadable, licenceFacts } from "../models/licence.js";
import { createSelecting, take } from "./selecting.js";

/** Around a suggestion, in screen pixels: a speck is hard to hit. */
const AROUND_PX = 6;
const FINGER_PX = 44;
/** Sorts in which nothing else is offered: a stroke of a letter is no scratch. */
const SOLID = ["text", "person"];

/** @param {Finding} finding */
const masksOf = ({ shapes }) => shapes.map((mask) => ({ ...mask, op: /** @type {const} */ ("add") }));

/** Whether the middle of a suggestion lies in what another covers as a whole. @param {Finding} finding @param {Finding} other */
function isPartOf(finding, other) {
  const [inner, outer] = [unionBounds(masksOf(finding)), unionBounds(masksOf(other))];
  if (!inner || !outer || SOLID.includes(finding.category)) return false;
  const [x, y] = [inner.x + inner.width / 2 - outer.x, inner.y + inner.height / 2 - outer.y];
  return x >= 0 && y >= 0 && x < outer.width && y < outer.height;
}

/** @param {{step: number, total: number}} event */
const percent = ({ step, total }) => Math.round((100 * step) / total);

/** All that points instead of painting. @param {Ports & {download: (name: string) => void}} ports */
export function createPointing(ports) {
  createFinding(ports);
  return createSelecting(ports);
}

/** @param {Ports & {download: (name: string) => void}} ports */
function createFinding(ports) {
  const { store, api, messages } = ports;
  const options = find("found");
  const layer = make("div", { class: "suggestions", role: "group", "aria-label": t("Suggestions") });
  find("stage").append(layer);
  /** @type {Map<Finding, HTMLButtonElement>} */
  const open = new Map();
  /** Taken or not. @type {Finding[]} */
  let solid = [];
  /** @type {AbortController | null} */
  let asking = null;
  /** Models that were told of. @type {Set<string>} */
  const known = new Set();
  /** How far the search is, and what stops it. @type {readonly HTMLElement[]} */
  let busy = [];
  const sorts = { text: t("Text"), dust: t("Dust"), scratch: t("Scratches"), wire: t("Wires"), person: t("People") };
  /** @param {string} category */
  const nameOf = (category) => /** @type {Record<string, string>} */ (sorts)[category] ?? category;

  /** @param {readonly Finding[]} findings */
  const remove = (findings) => {
    for (const finding of findings) {
      open.get(finding)?.remove();
      open.delete(finding);
    }
  };

  /** @param {readonly Finding[]} taken */
  const accept = (taken) => {
    remove(taken);
    showOptions();
    take(ports, taken.flatMap(masksOf));
    find("stage").focus({ preventScroll: true });
  };

  const place = () => {
    const { view } = store.get();
    const least = matchMedia("(any-pointer: coarse)").matches ? FINGER_PX : 0;
    for (const [finding, button] of open) {
      const box = unionBounds(masksOf(finding));
      if (!box) continue;
      const { x, y } = toScreen(view, { x: box.x + box.width / 2, y: box.y + box.height / 2 });
      const [ownWidth, ownHeight] = [box.width * view.scale + 2 * AROUND_PX, box.height * view.scale + 2 * AROUND_PX];
      const [width, height] = [Math.max(least, ownWidth), Math.max(least, ownHeight)];
      button.style.transform = `translate(${x - width / 2}px, ${y - height / 2}px)`;
      button.style.inlineSize = `${width}px`;
      button.style.blockSize = `${height}px`;
      button.style.setProperty("--beyond", `${(height - ownHeight) / 2}px ${(width - ownWidth) / 2}px`);
    }
  };

  const showOptions = () => {
    /** @type {Map<string, Finding[]>} */
    const groups = new Map();
    for (const finding of open.keys()) groups.set(finding.category, [...(groups.get(finding.category) ?? []), finding]);
    const all = [...groups].map(([category, findings]) => {
      const [sort, n] = [nameOf(category), findings.length];
      const name = t("All of these: {sort} ({n})", { sort, n });
      return make("button", {
        type: "button",
        class: "button",
        "data-category": category,
        "data-tip": name,
        "aria-label": name,
        text: `${sort} (${n})`,
        onclick: () => accept(findings),
      });
    });
    const none = all.length + busy.length === 0;
    options.replaceChildren(...busy, ...(none ? [words(t("Nothing more was found"))] : all));
  };

  /** @param {string} text */
  const words = (text) => make("span", { class: "muted small", text });

  const clear = () => {
    asking?.abort();
    asking = null;
    [busy, solid] = [[], []];
    open.clear();
    layer.replaceChildren();
    options.replaceChildren();
  };

  const ask = async () => {
    clear();
    const mine = new AbortController();
    asking = mine;
    const state = store.get();
    const progress = words(t("Looking for text, dust and wires…"));
    const stop = make("button", { type: "button", class: "button", text: t("Stop"), onclick: () => mine.abort() });
    busy = [progress, stop];
    showOptions();
    const image = await ports.imageId();
    const body = { image, parents: shownEdits(documentOf(state)) };
    try {
      const response = await api.post(`${API}/find`, body, mine.signal, 1, false, "application/x-ndjson");
      for await (const text of readLines(/** @type {ReadableStream<Uint8Array>} */ (response.body))) {
        const event = /** @type {FindEvent} */ (JSON.parse(text));
        if (state.image?.key !== store.get().image?.key) return;
        if (event.type === "error") throw new ApiError(event.problem);
        if (event.type === "found") offer(event.findings);
        else if (event.total > 0)
          setText(
            progress,
            t("Looking for {sort}: {n} %", { sort: nameOf(event.model.replace(/s$/, "")), n: percent(event) }),
          );
      }
    } finally {
      if (asking === mine) {
        busy = [];
        showOptions();
      }
    }
    messages.say(t("{n} suggestions", { n: open.size }));
    tellOfMore().catch((error) => messages.complain(error, null));
  };

  /** What could be found too: once for each, and only where nothing else is being told. */
  const tellOfMore = async () => {
    const { models } = await api.json(`${API}/models`);
    const more = models.find(
      (/** @type {any} */ each) =>
        each.task === "find" && /missing|unavailable/.test(each.state) && !known.has(each.name),
    );
    if (!more || store.get().tool !== "find") return;
    known.add(more.name);
    const [model, facts] = [more.title, licenceFacts(more, t).join(", ")];
    const get = downloadable(more)
      ? { label: t("Download"), act: () => ports.download(more.name) }
      : { label: t("What is missing?"), act: () => messages.complain(new ApiError(more.problem), null) };
    messages.tell(t("Could be found too: {model} ({facts})", { model, facts }), "", get);
  };

  /** @param {readonly Finding[]} findings */
  const offer = (findings) => {
    for (const finding of findings) {
      const name = t("{sort}, {n} % sure", { sort: nameOf(finding.category), n: Math.round(100 * finding.score) });
      const button = make("button", {
        type: "button",
        "aria-label": name,
        "data-tip": name,
        onclick: () => accept([finding]),
      });
      button.dataset.category = finding.category;
      open.set(finding, button);
      layer.append(button);
    }
    solid.push(...findings.filter(({ category }) => SOLID.includes(category)));
    remove([...open.keys()].filter((one) => solid.some((other) => isPartOf(one, other))));
    place();
    showOptions();
  };

  const begin = () =>
    void ask().catch((error) => {
      if (error?.name === "AbortError") return;
      clear();
      messages.complain(error, begin);
    });
  store.watch((state) => state.view, place, false);
  store.watch((state) => state.image?.key, clear, false);
  store.watch(
    (state) => state.tool,
    (tool) => (tool === "find" ? begin() : clear()),
  );
}
