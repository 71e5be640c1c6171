/** The bar at the top: the photo's name, the model that works, the switch of filling by itself; and the theme. */

import { canvasOf } from "../core/canvas.js";
import { documentOf, fillsOnRelease, takesWords, workingModel } from "../core/state.js";
import { formatBytes } from "../wire/protocol.js";
import { find, findInput, icon, setText } from "./dom.js";
import { number, t } from "./i18n.js";

/** @typedef {import("../core/state.js").State} State */

/** @param {import("../core/store.js").Store<State>} store */
export function createHeader(store) {
  const auto = findInput("auto");
  auto.addEventListener("change", () => store.update(({ prefs }) => ({ prefs: { ...prefs, auto: auto.checked } })));
  store.follow([(state) => state.prefs.auto, takesWords], () => {
    auto.checked = fillsOnRelease(store.get());
    auto.disabled = takesWords(store.get()); // words say when
  });
  store.watch(
    (state) => state.prefs.theme,
    (theme) => {
      if (theme === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = theme;
    },
  );
  store.watch(workingModel, (model) => {
    const { kind = "", title = t("No model") } = model ?? {};
    const name = kind ? t(kind[0].toUpperCase() + kind.slice(1)) : title;
    setText(find("model-title"), name);
    find("model")
      .querySelector("use")
      ?.setAttribute("href", `#i-${kind || "model"}`);
    find("model").setAttribute("aria-label", t("How to fill: {model}", { model: name }));
  });
  store.follow([(state) => state.image, (state) => state.gallery, documentOf], () => showPhoto(store.get()));
  store.follow([(state) => state.image, (state) => state.selected], () => {
    const { image, selected } = store.get();
    document.body.dataset.room = image ? (selected ? "results" : "photo") : "empty";
  });
  const working = [
    (/** @type {State} */ state) => state.savedAs,
    (/** @type {State} */ state) => state.image,
    (/** @type {State} */ state) => state.timeline,
  ];
  store.follow(working, () => showState(store.get()));
}

/** @param {State} state */
function showPhoto(state) {
  const { image, gallery } = state;
  const { items, at } = gallery;
  find("file").hidden = image === null;
  find("photo-steps").hidden = items.length < 2;
  find("empty").hidden = image !== null;
  document.title = image ? `${image.name} · lama-server` : "lama-server";
  if (!image) return;
  setText(find("file-name"), items.length > 1 ? `${image.name} (${at + 1}/${items.length})` : image.name);
  const { width, height } = canvasOf(state);
  setText(
    find("file-size"),
    [`${number(width)} × ${number(height)}`, formatBytes(image.bytes)].filter(Boolean).join(", "),
  );
}

/** Kept is the work in this browser; saved is a file. @param {State} state */
function showState(state) {
  const { edits, draft } = documentOf(state);
  const folder = state.config.output_dir;
  const saved = state.savedAs && t("Saved as {name}", { name: folder ? `${folder}/${state.savedAs}` : state.savedAs });
  const words = saved || (edits.length + draft.length > 0 ? t("Kept") : "");
  const line = find("saved");
  line.hidden = !state.image || !words;
  line.title = words;
  line.replaceChildren(icon("done"), words);
}
