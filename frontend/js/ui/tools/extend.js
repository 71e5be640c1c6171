/**
 * Extending the canvas: a frame around the photo whose edges are dragged, and shapes and sizes in the dock. Nothing is
 * changed before Extend is pressed; then the canvas grows, and what is new is filled as if it had been painted.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/document.js").Margins} Margins
 * @typedef {object} Ports
 * @property {import("../../core/store.js").Store<State>} store
 * @property {import("../../net/api.js").Api} api
 * @property {() => Promise<import("../../jobs/jobs.js").Jobs>} loadJobs
 * @property {import("../messages.js").Messages} messages
 * @property {() => Promise<string>} imageId
 * @property {() => void} refit  the frame has another size
 * @property {(label: string, change: (doc: import("../../core/document.js").Doc) => import("../../core/document.js").Doc) => void} step
 */

import { canvasOf } from "../../core/canvas.js";
import { NO_MARGINS, newKey, shownEdits } from "../../core/document.js";
import { documentOf } from "../../core/state.js";
import { toScreen } from "../../core/view.js";
import { dragged, extended, marginsFor, marginsTo } from "../../edits/extending.js";
import { API } from "../../net/api.js";
import { readLines } from "../../net/ndjson.js";
import { ApiError } from "../../wire/protocol.js";
import { readLine } from "../../wire/requests.js";
import { find, icon, make, setText } from "../dom.js";
import { number, t, w } from "../i18n.js";
import { roving } from "../roving.js";

/** @type {readonly [string, number][]} */
const RATIOS = [
  ["1:1", 1],
  ["4:3", 4 / 3],
  ["16:9", 16 / 9],
  ["9:16", 9 / 16],
];
const FREE = w("Free");
const KEY_STEP_PX = 8;
const FAST_STEPS = 8;
const LONGEST_PX = 100_000;

/** @type {readonly (keyof Margins)[]} */
const SIDES = ["left", "top", "right", "bottom"];
/** Which sides a handle holds; those of one side are for the keyboard too. @type {readonly (readonly (keyof Margins)[])[]} */
const HANDLES = [
  ...SIDES.map((side) => [side]),
  ["left", "top"],
  ["right", "top"],
  ["right", "bottom"],
  ["left", "bottom"],
];
const EDGES = { left: w("Left edge"), top: w("Upper edge"), right: w("Right edge"), bottom: w("Lower edge") };

/** @param {Ports} ports */
export function createExtend(ports) {
  const { store } = ports;
  const label = make("b", { class: "tabular" });
  const handles = HANDLES.map((sides) => handle(store, ports.refit, sides));
  const frame = make(
    "div",
    { class: "frame", role: "group", "aria-label": t("Edges of the photo") },
    label,
    ...handles,
  );
  find("stage").append(frame);
  const options = createOptions(store, ports.refit, () => void apply());
  let busy = false;

  /** The frame, where the view has it. */
  const place = () => {
    const { margins, view } = store.get();
    const { width, height } = framed(store.get());
    const { x, y } = toScreen(view, { x: -margins.left, y: -margins.top });
    frame.style.transform = `translate(${x}px, ${y}px)`;
    frame.style.width = `${width * view.scale}px`;
    frame.style.height = `${height * view.scale}px`;
    for (const side of SIDES) frame.style.setProperty(`--${side}`, `${margins[side] * view.scale}px`);
  };

  const show = () => {
    const state = store.get();
    const shown = state.tool === "extend" && state.image !== null;
    frame.hidden = options.element.hidden = !shown;
    if (!shown) return;
    find("hint").hidden = true;
    place();
    const size = framed(state);
    setText(label, `${number(size.width)} × ${number(size.height)}`);
    SIDES.forEach((side, i) => {
      handles[i].setAttribute("aria-valuenow", String(state.margins[side]));
      handles[i].setAttribute("aria-valuetext", t("{n} px", { n: state.margins[side] }));
    });
    options.show(size, state.margins === NO_MARGINS || busy);
  };
  store.follow([(state) => state.tool, (state) => state.margins, (state) => state.image, documentOf], show);
  store.watch((state) => state.view, place);

  /** The canvas grows, and the new border is filled. */
  const apply = async () => {
    const { margins } = store.get();
    if (busy || margins === NO_MARGINS) return;
    busy = true;
    show();
    try {
      const edit = await changeCanvas(ports, margins);
      const before = canvasOf(store.get());
      store.update({ margins: NO_MARGINS });
      ports.step(w("extend"), (doc) =>
        extended(doc, before, { key: newKey(), shapes: [], chosen: edit, extend: margins }),
      );
      (await ports.loadJobs()).fill();
      find("stage").focus({ preventScroll: true });
    } catch (error) {
      ports.messages.complain(error, () => void apply());
    } finally {
      busy = false;
      show();
    }
  };
}

/** The size that the canvas will have. @param {State} state */
function framed(state) {
  const { width, height } = canvasOf(state);
  const { left, top, right, bottom } = state.margins;
  return { width: width + left + right, height: height + top + bottom };
}

/** @param {Margins} margins */
const orNone = (margins) => (Object.values(margins).every((px) => px === 0) ? NO_MARGINS : margins);

/**
 * The server's id of the larger canvas, which it makes without filling anything.
 * @param {Ports} ports @param {Margins} margins @returns {Promise<string>}
 */
async function changeCanvas({ store, api, imageId }, margins) {
  const body = {
    image: await imageId(),
    parents: shownEdits(documentOf(store.get())),
    canvas: { op: "extend", ...margins },
    save: false, // what is new is not filled yet
  };
  const response = await api.post(`${API}/edits`, body);
  for await (const text of readLines(/** @type {ReadableStream<Uint8Array>} */ (response.body))) {
    const line = readLine(text);
    if (line?.type === "result") return line.edit;
    if (line?.type === "error") throw new ApiError(line.problem);
  }
  throw api.gaveUp(new Error("The stream ended early."));
}

/** @param {import("../../core/store.js").Store<State>} store @param {() => void} refit @param {readonly (keyof Margins)[]} sides */
function handle(store, refit, sides) {
  const single = sides.length === 1;
  const said = {
    role: "slider",
    tabindex: 0,
    "aria-label": t(EDGES[sides[0]]),
    "aria-valuemin": 0,
    "aria-valuemax": LONGEST_PX,
  };
  const element = make("span", { class: `handle ${sides.join(" ")}`, ...(single ? said : {}) });
  /** @param {number} dx @param {number} dy image pixels @param {Margins} from */
  const move = (dx, dy, from) => {
    store.update({ margins: orNone(dragged(from, sides, dx, dy)) });
  };
  element.addEventListener("pointerdown", (start) => {
    start.stopPropagation();
    start.preventDefault();
    element.setPointerCapture(start.pointerId);
    if (single) element.focus({ preventScroll: true });
    const { margins: from, view } = store.get();
    store.update({ painting: true }); // the photo holds still meanwhile
    const follow = (/** @type {PointerEvent} */ event) =>
      move((event.clientX - start.clientX) / view.scale, (event.clientY - start.clientY) / view.scale, from);
    element.addEventListener("pointermove", follow);
    element.addEventListener(
      "lostpointercapture",
      () => {
        element.removeEventListener("pointermove", follow);
        store.update({ painting: false });
        refit();
      },
      { once: true },
    );
  });
  element.addEventListener("keydown", (event) => {
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!arrow) return;
    event.preventDefault();
    event.stopPropagation();
    const step = KEY_STEP_PX * (event.shiftKey ? FAST_STEPS : 1);
    move(arrow[0] * step, arrow[1] * step, store.get().margins);
    refit();
  });
  return element;
}

/** Shapes, sizes and the button, in the dock. @param {import("../../core/store.js").Store<State>} store @param {() => void} refit @param {() => void} apply */
function createOptions(store, refit, apply) {
  const set = (/** @type {Margins} */ margins) => {
    store.update({ margins: orNone(margins) });
    refit();
  };
  const shapes = [[FREE, 0], ...RATIOS].map(([name, ratio]) =>
    make("button", {
      type: "button",
      class: "button",
      role: "radio",
      text: t(String(name)),
      onclick: () => set(ratio ? marginsFor(canvasOf(store.get()), Number(ratio)) : NO_MARGINS),
    }),
  );
  const ratios = make("div", { class: "ratios", role: "radiogroup", "aria-label": t("Shape of the photo") }, ...shapes);
  const sizeField = (/** @type {"width" | "height"} */ side, /** @type {string} */ label) => {
    const input = make("input", {
      type: "number",
      inputmode: "numeric",
      min: 1,
      max: LONGEST_PX,
      step: 1,
      "aria-label": label,
    });
    input.addEventListener("change", () => {
      const size = { ...framed(store.get()), [side]: Number(input.value) };
      set(marginsTo(canvasOf(store.get()), size));
    });
    return input;
  };
  const [width, height] = [sizeField("width", t("Width")), sizeField("height", t("Height"))];
  const go = make(
    "button",
    { type: "button", class: "button go", onclick: apply },
    icon("extend"),
    make("span", { text: t("Extend") }),
  );
  const element = make(
    "div",
    { class: "extend" },
    ratios,
    width,
    make("span", { text: "×", "aria-hidden": "true" }),
    height,
    go,
  );
  find("pill").append(element);
  roving(ratios, "button");

  return {
    element,
    /** @param {import("../../core/view.js").Size} size @param {boolean} idle nothing to be done */
    show(size, idle) {
      const near = RATIOS.findIndex(([, ratio]) => Math.abs(size.width - size.height * ratio) <= 1);
      shapes.forEach((shape, i) => {
        shape.setAttribute("aria-checked", String(i === near + 1));
      });
      width.value = String(size.width);
      height.value = String(size.height);
      go.disabled = idle;
    },
  };
}
