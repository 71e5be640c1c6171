/**
 * What is done to the whole photo at once: cut out, restore faces, enlarge. The first two are steps of the history, whose
 * picture lies over the photo; an enlarged photo is opened beside it, as the canvas of this one stays as large as it is.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../wire/protocol.js").ModelInfo} ModelInfo
 * @typedef {import("./selecting.js").Ports & Pick<import("../panels/panels.js").Ports, "keepPatch" | "openFiles">} Ports
 */

import { canvasOf } from "../../core/canvas.js";
import { newKey, shownEdits } from "../../core/document.js";
import { documentOf, usable } from "../../core/state.js";
import { API } from "../../net/api.js";
import { readLines } from "../../net/ndjson.js";
import { ApiError, formatBytes } from "../../wire/protocol.js";
import { readLine } from "../../wire/requests.js";
import { find, icon, make, setText } from "../dom.js";
import { count, number, t, w } from "../i18n.js";
import { take } from "./selecting.js";

/** @param {Ports} ports */
export function createCutOut(ports) {
  const { store, api, messages } = ports;
  /** @type {AbortController | null} */
  let asking = null;
  const model = make("select", { "aria-label": t("Model") });
  const colour = make("input", { type: "color", value: "#ffffff", "aria-label": t("Background colour") });
  const behind = make(
    "select",
    { "aria-label": t("Background"), onchange: () => show() },
    make("option", { value: "", text: t("Transparent") }),
    make("option", { value: "colour", text: t("A colour") }),
    make("option", { value: "select", text: t("Select it") }),
  );
  const factor = make(
    "select",
    { "aria-label": t("How many times as large") },
    ...["2", "4"].map((value) => make("option", { value, text: `${value}×` })),
  );
  const go = make(
    "button",
    { type: "button", class: "button go", onclick: () => begin() },
    icon("done"),
    make("span", { text: t("Do it") }),
  );
  const stop = make("button", { type: "button", class: "button", text: t("Cancel"), onclick: () => asking?.abort() });
  const said = make("output", { class: "muted small tabular" });
  const element = make("div", { class: "cutout" }, model, behind, colour, factor, go, stop, said);
  find("pill").append(element);
  /** @type {readonly ModelInfo[]} */
  let models = [];

  const chosen = () => models.find(({ name }) => name === model.value);

  const show = () => {
    const task = chosen()?.task;
    behind.hidden = task !== "matte";
    colour.hidden = task !== "matte" || behind.value !== "colour";
    factor.hidden = task !== "enlarge";
    for (const field of [model, behind, colour, factor, go]) field.disabled = asking !== null;
    stop.hidden = asking === null;
  };
  model.addEventListener("change", show);

  const list = async () => {
    if (models.length > 0) return;
    const all = /** @type {ModelInfo[]} */ ((await api.json(`${API}/models`)).models);
    models = all.filter(({ task, state }) => /matte|restore|enlarge/.test(task) && state !== "unavailable");
    const groups = { matte: t("Cut out"), restore: t("Restore faces"), enlarge: t("Enlarge") };
    for (const [task, label] of Object.entries(groups)) {
      const options = models.filter((each) => each.task === task).map(optionOf);
      if (options.length > 0) model.append(make("optgroup", { label }, ...options));
    }
    show();
  };

  /** @param {ModelInfo} wanted */
  const remake = async (wanted) => {
    const image = await ports.imageId();
    const parents = shownEdits(documentOf(store.get()));
    /** @type {Record<string, string>} */
    const params = {};
    if (wanted.task === "enlarge") params.factor = factor.value;
    if (wanted.task === "matte" && behind.value === "colour") params.background = colour.value;
    const signal = /** @type {AbortController} */ (asking).signal;
    const body = { image, parents, save: wanted.task !== "enlarge", runs: [{ model: wanted.name, params }] };
    const line = await lastLine(await api.post(`${API}/edits`, body, signal), (part) =>
      setText(said, t("{n} %", { n: number(100 * part) })),
    );
    const url = `${API}/images/${image}/render?edits=${[...parents, line.edit].join(",")}&format=png`;
    const picture = await api.blob(url, { signal });
    if (wanted.task === "enlarge") {
      const stem = (store.get().image?.name ?? "").replace(/\.\w+$/, "");
      ports.openFiles([new File([picture], `${stem}-${factor.value}x.png`, { type: "image/png" })]);
      return;
    }
    const { width, height } = canvasOf(store.get());
    const key = newKey();
    const { edit, model: name, ms } = line;
    const patches = [{ url, x: 0, y: 0, w: width, h: height }];
    const result = { edit, model: name, seed: 0, ms, strategy: "original", params, patches };
    await ports.keepPatch(line.edit, picture);
    store.update(({ results }) => ({ results: { ...results, [key]: [result] } }));
    ports.step(w("cut out"), (doc) => ({ ...doc, edits: [...doc.edits, { key, shapes: [], chosen: line.edit }] }));
  };

  /** @param {ModelInfo} wanted */
  const selectSubject = async (wanted) => {
    const body = { image: await ports.imageId(), parents: shownEdits(documentOf(store.get())), models: [wanted.name] };
    const { findings } = await (await api.post(`${API}/find`, body, asking?.signal, 1)).json();
    take(
      ports,
      findings.flatMap((/** @type {{shapes: import("../../core/shapes.js").Shape[]}} */ { shapes }) => shapes),
    );
    messages.say(count(findings.length, "The subject is selected.", "{n} things are selected."));
  };

  const begin = async () => {
    const wanted = chosen();
    if (!wanted || asking) return;
    if (!usable(wanted)) {
      const how = t("Download it: lama-server download {name} ({size}, {licence}).", {
        name: wanted.name,
        size: formatBytes(wanted.download_bytes),
        licence: wanted.licence.name,
      });
      messages.tell(t("{model} is not on the server yet", { model: wanted.title }), how);
      return;
    }
    asking = new AbortController();
    const key = store.get().image?.key;
    show();
    try {
      await (wanted.task === "matte" && behind.value === "select" ? selectSubject(wanted) : remake(wanted));
    } catch (error) {
      const gone = /** @type {any} */ (error)?.name === "AbortError" || key !== store.get().image?.key;
      if (!gone) messages.complain(error, () => void begin());
    } finally {
      asking = null;
      setText(said, "");
      show();
    }
  };

  store.watch(
    (state) => state.image?.key,
    () => asking?.abort(),
    false,
  );
  store.watch(
    (state) => state.tool,
    (tool) => {
      if (tool !== "cutout") return;
      find("hint").hidden = true;
      list().catch((error) => messages.complain(error, null));
    },
  );
  show();
}

/** @param {ModelInfo} model */
const optionOf = (model) =>
  make("option", { value: model.name, text: usable(model) ? model.title : `${model.title} …` });

/**
 * The result of an edit's stream. @param {Response} response @param {(part: number) => void} told
 * @returns {Promise<import("../../wire/protocol.js").FillLine>}
 */
async function lastLine(response, told) {
  for await (const text of readLines(/** @type {ReadableStream<Uint8Array>} */ (response.body))) {
    const line = readLine(text);
    if (line?.type === "progress") told(line.total > 0 ? line.step / line.total : 0);
    if (line?.type === "result") return /** @type {import("../../wire/protocol.js").FillLine} */ (line);
    if (line?.type === "error") throw new ApiError(line.problem);
  }
  throw new DOMException("The stream ended early.", "AbortError");
}
