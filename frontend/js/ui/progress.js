/** How the work is going: the words beside the dock, the banner for a lost server, the note about a model on its way. */

import { duration, expectedTotal } from "../core/eta.js";
import { licenceFacts } from "../core/protocol.js";
import { downloadable, downloadPercent, usable, wantedModel, workingModel } from "../core/state.js";
import { find, findButton, icon, setText } from "./dom.js";
import { t } from "./i18n.js";

const TICK_MS = 100;

/** @typedef {import("../core/state.js").State} State */

/**
 * @param {import("../core/store.js").Store<State>} store
 * @param {import("./messages.js").Messages} messages @param {(name: string) => void} download
 */
export function createProgress(store, messages, download) {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ticking;
  const show = () => setText(find("working-text"), describeJob(store.get()));
  store.watch(
    (state) => state.job !== null,
    (busy) => {
      find("working").hidden = !busy;
      clearInterval(ticking);
      if (!busy) return;
      show();
      ticking = setInterval(show, TICK_MS);
    },
  );
  store.watch(
    (state) => state.reachable,
    (reachable) => {
      find("unreachable").hidden = reachable;
      if (!reachable) messages.say("The server does not answer. Your work is kept; trying again…");
    },
  );
  store.watch(
    (state) => state.image !== null,
    (open) => {
      find("dock").hidden = !open;
    },
  );
  store.watch(
    (state) => state.savedAs,
    (name) => {
      const saved = find("saved");
      saved.hidden = name === null;
      const folder = store.get().config.output_dir;
      if (name)
        saved.replaceChildren(icon("done"), ` ${t("Saved as {name}", { name: folder ? `${folder}/${name}` : name })}`);
    },
  );
  watchWanted(store, messages, download);
}

/** @param {State} state */
function describeJob({ job, uploaded, reachable }) {
  if (!job) return "";
  if (!reachable) return t("Waiting for the server…");
  if (uploaded !== null) return t("Sending the photo… {n} %", { n: Math.round(uploaded * 100) });
  if (job.position) return t("Waiting, {n} before it", { n: job.position });
  const now = performance.now();
  const running = job.runs.findIndex((run) => run.status === "running");
  const stage = running >= 0 ? job.runs[running].stage : "";
  const which = job.runs.length > 1 && running >= 0 ? ` ${running + 1}/${job.runs.length}` : "";
  const words = STAGES[stage] ?? (stage ? `${stage[0].toUpperCase()}${stage.slice(1)}…` : STAGES.filling);
  const total = expectedTotal(job, now);
  const spent = duration(now - job.startedAt);
  const time = total === null ? spent : t("{spent} of about {total}", { spent, total: duration(total) });
  return `${t(words)}${which} ${time}`;
}

/** @type {Readonly<Record<string, string>>} */
const STAGES = { fill: "Filling…", filling: "Filling…", loading: "Loading the model…" };

/**
 * The model that was asked for is not there yet: says so, what works meanwhile, and when it has changed over.
 * @param {import("../core/store.js").Store<State>} store @param {import("./messages.js").Messages} messages @param {(name: string) => void} download
 */
function watchWanted(store, messages, download) {
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
 * @param {import("../core/state.js").ModelInfo} wanted @param {number | null} percent
 * @param {import("../core/state.js").ModelInfo | null} working
 */
function describeWanted(wanted, percent, working) {
  const values = {
    model: wanted.title,
    facts: licenceFacts(wanted, t).join(", "),
    why: wanted.problem?.detail ?? "",
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
