/** The row under the photo for models that take words, or an example picture: what should be there instead. */

import { canvasOf } from "../../core/canvas.js";
import { shownEdits } from "../../core/document.js";
import { unionBounds } from "../../core/shapes.js";
import { documentOf, exampleOf, promptOf, takesWords, workingModel } from "../../core/state.js";
import { API } from "../../net/api.js";
import { find, findInput, icon, make } from "../dom.js";
import { t } from "../i18n.js";

/** How many of the words said last are kept. */
const KEPT = 30;

/**
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../wire/protocol.js").Parameter} Parameter
 * @typedef {object} Ports
 * @property {import("../../core/store.js").Store<State>} store
 * @property {import("../../net/api.js").Api} api
 * @property {import("../../net/uploads.js").Uploads} uploads
 * @property {import("../messages.js").Messages} messages
 * @property {() => Promise<string>} imageId
 * @property {(id: string) => void} run  a command
 */

/** What was set of a parameter of the model that works; "" where nothing was. @param {State} state @param {Parameter | null} parameter */
const saidOf = (state, parameter) =>
  String((parameter && state.prefs.params[workingModel(state)?.name ?? ""]?.[parameter.name]) ?? "");

/** @param {Ports} ports */
export function createWords(ports) {
  const { store, messages, run } = ports;
  const row = find("words");

  /** @param {Parameter} parameter @param {string} value  "": the model's default */
  const set = ({ name }, value) =>
    store.update((state) => {
      const model = workingModel(state)?.name ?? "";
      const { [name]: _, ...others } = state.prefs.params[model] ?? {};
      const params = value ? { ...others, [name]: value } : others;
      return { prefs: { ...state.prefs, params: { ...state.prefs.params, [model]: params } } };
    });

  const create = () => {
    const state = store.get();
    const said = saidOf(state, promptOf(workingModel(state))).trim();
    const words = [said, ...state.prefs.words.filter((each) => each !== said)].slice(0, KEPT);
    if (said) store.update({ prefs: { ...state.prefs, words } });
    if (documentOf(state).draft.length > 0) run("run");
    else messages.tell(t("Nothing is painted"), t("Paint over what is to be replaced, then create."));
  };

  /** @param {Parameter} parameter @param {Blob} picture @param {string} name */
  const take = async (parameter, picture, name) => {
    const key = `example-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
    set(parameter, (await ports.uploads.ensure(key, picture, name)).id);
  };
  const taking = (/** @type {Promise<unknown>} */ work) => void work.catch((error) => messages.complain(error, null));

  const show = () => {
    const state = store.get();
    const [prompt, example] = [promptOf(workingModel(state)), exampleOf(workingModel(state))];
    const form = make("form", { "aria-label": t("What should be there"), onsubmit: submitted(create) }, icon("words"));
    if (prompt)
      form.append(...promptField(prompt, saidOf(state, prompt), state.prefs.words, (text) => set(prompt, text)));
    if (example) {
      form.append(
        ...exampleField(saidOf(state, example), {
          pick: (file) => taking(take(example, file, file.name)),
          paint: () => taking(paintedPart(ports).then((part) => take(example, part, "example.png"))),
          drop: () => set(example, ""),
        }),
      );
      form.addEventListener("paste", (event) => {
        const file = event.clipboardData?.files[0];
        if (!file) return;
        event.preventDefault();
        event.stopPropagation(); // it would be opened as a photo
        taking(take(example, file, file.name));
      });
    }
    form.append(make("button", { class: "button go", text: t("Create") }));
    row.replaceChildren(form);
  };

  const shown = (/** @type {State} */ state) => state.image !== null && takesWords(state);
  const example = (/** @type {State} */ state) => saidOf(state, exampleOf(workingModel(state)));
  store.follow([shown, (state) => workingModel(state)?.name, (state) => state.prefs.words, example], () => {
    const now = shown(store.get());
    row.hidden = !now;
    document.body.toggleAttribute("data-words", now);
    const typing = row.contains(document.activeElement);
    if (now) show();
    if (now && typing) row.querySelector("input")?.focus();
  });
}

/** @param {() => void} act @returns {(event: SubmitEvent) => void} */
const submitted = (act) => (event) => {
  event.preventDefault();
  act();
};

/** @param {Parameter} parameter @param {string} value @param {readonly string[]} earlier @param {(text: string) => void} set */
function promptField({ placeholder = "", max_length = 1000 }, value, earlier, set) {
  const input = make("input", {
    id: "words-prompt",
    list: "words-earlier",
    autocomplete: "off",
    maxlength: max_length,
    placeholder: placeholder || t("What should be there instead?"),
    "aria-label": t("What should be there instead"),
    value,
    oninput: () => set(input.value),
  });
  return [input, make("datalist", { id: "words-earlier" }, ...earlier.map((text) => make("option", { value: text })))];
}

/** @param {string} id  of the uploaded example; "" for none @param {{pick: (file: File) => void, paint: () => void, drop: () => void}} acts */
function exampleField(id, acts) {
  if (id) {
    const picture = make("img", {
      alt: t("Example picture"),
      src: `${API}/images/${id}/preview?max=512`,
      onerror: acts.drop,
    });
    const name = t("Without the example");
    const drop = make("button", { type: "button", class: "button square", "aria-label": name, onclick: acts.drop });
    drop.append(icon("close"));
    return [picture, drop];
  }
  const files = make("input", {
    type: "file",
    accept: findInput("files").accept,
    hidden: true,
    "aria-label": t("Example picture"),
  });
  files.addEventListener("change", () => files.files?.[0] && acts.pick(files.files[0]));
  const pick = make("button", { type: "button", class: "button", onclick: () => files.click() }, icon("photos"));
  pick.append(make("span", { text: t("Example picture") }));
  const paint = make("button", { type: "button", class: "button", onclick: acts.paint }, icon("paint"));
  paint.append(make("span", { text: t("What is painted") }));
  paint.title = t("Take the painted part of this photo as the example");
  return [files, pick, paint];
}

/** The part of the photo that is painted over, as it is shown now, as a picture of its own. @param {Ports} ports @returns {Promise<Blob>} */
async function paintedPart({ store, api, imageId, run }) {
  const [doc, whole] = [documentOf(store.get()), canvasOf(store.get())];
  const box = unionBounds(doc.draft);
  if (!box) throw new Error(t("Paint over a part of the photo first; it becomes the example."));
  const [x, y] = [Math.max(0, Math.floor(box.x)), Math.max(0, Math.floor(box.y))];
  const width = Math.max(1, Math.min(whole.width, Math.ceil(box.x + box.width)) - x);
  const height = Math.max(1, Math.min(whole.height, Math.ceil(box.y + box.height)) - y);
  const asked = `render?edits=${shownEdits(doc).join(",")}&format=jpeg&quality=95`;
  const shown = await api.blob(`${API}/images/${await imageId()}/${asked}`);
  const photo = await createImageBitmap(shown, x, y, width, height);
  const canvas = make("canvas", { width, height });
  canvas.getContext("2d")?.drawImage(photo, 0, 0);
  photo.close();
  const part = await new Promise((resolve) => canvas.toBlob(resolve));
  run("clear");
  return /** @type {Blob} */ (part);
}
