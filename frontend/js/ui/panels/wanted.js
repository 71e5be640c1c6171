/** The note about a model that was asked for and is not there yet. */

import { usable, wantedModel, workingModel } from "../../core/state.js";
import { whyNot } from "../../wire/explain.js";
import { find, findButton, setText } from "../dom.js";
import { t } from "../i18n.js";
import { downloadable, downloadPercent, licenceFacts } from "../models/licence.js";

/**
 * The model that was asked for is not there yet: says so, what works meanwhile, and when it has changed over.
 * @param {import("../../core/store.js").Store<import("../../core/state.js").State>} store @param {import("../messages.js").Messages} messages @param {(name: string) => void} download
 */
export function watchWanted(store, messages, download) {
  const [note, act, bar] = [find("model-note"), findButton("model-note-act"), find("model-note-progress")];
  let missing = "";
  act.addEventListener("click", () => download(wantedModel(store.get())?.name ?? ""));
  const show = () => {
    const state = store.get();
    const wanted = wantedModel(state);
    if (!wanted || usable(wanted)) {
      note.hidden = true;
      if (wanted && missing === wanted.name)
        messages.tell(t("{model} is ready", { model: wanted.title }), t("Fills use it from now on."));
      missing = "";
      return;
    }
    missing = wanted.name;
    note.hidden = false;
    const percent = downloadPercent(wanted);
    bar.hidden = wanted.state !== "downloading";
    if (percent !== null) bar.setAttribute("value", String(percent));
    else bar.removeAttribute("value");
    act.hidden = !downloadable(wanted);
    setText(act, wanted.state === "failed" ? t("Try again") : t("Download"));
    setText(find("model-note-text"), describeWanted(wanted, percent, workingModel(state)));
  };
  store.watch((state) => state.models, show);
  store.watch((state) => state.prefs.model, show, false);
}

/**
 * @param {import("../../core/state.js").ModelInfo} wanted @param {number | null} percent
 * @param {import("../../core/state.js").ModelInfo | null} working
 */
function describeWanted(wanted, percent, working) {
  const values = {
    model: wanted.title,
    facts: licenceFacts(wanted, t).join(", "),
    why: wanted.problem ? whyNot(wanted.problem) : "",
    n: percent === null ? "" : ` ${percent} %`,
    meanwhile: working ? t("working with {model} meanwhile", { model: working.title }) : t("no other model is ready"),
    sentence: working ? t("Working with {model} meanwhile.", { model: working.title }) : t("No other model is ready."),
  };
  if (wanted.state === "downloading") return t("{model} ({facts}) is downloading{n}; {meanwhile}", values);
  if (wanted.state === "failed" && wanted.problem?.code !== "model.download_failed")
    return t("{model} cannot be used: {why} {sentence}", values);
  if (wanted.state === "failed") return t("{model} could not be downloaded: {why} {sentence}", values);
  if (wanted.state === "unavailable") return t("{model} cannot run here: {why} {sentence}", values);
  if (wanted.problem) return t("{why} {sentence}", values);
  return t("{model} ({facts}) is not on the server yet; {meanwhile}", values);
}
