/**
 * The settings of the page, in the menu.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Prefs} Prefs
 */

import { find, setText } from "../dom.js";
import { t } from "../i18n.js";
import { choiceField, prefsOf, switchField } from "./fields.js";

/** @param {import("../../core/store.js").Store<State>} store */
export function createSettings(store) {
  const set = prefsOf(store);
  const { prefs, config } = store.get();
  const themes = { system: t("As the system"), light: t("Light"), dark: t("Dark") };
  const inks = { tint: t("Tint"), hatch: t("Stripes") };
  const languages = { system: t("As the browser"), en: "English", de: "Deutsch" };
  const wheels = { auto: t("Automatic"), zoom: t("Zooms"), pan: t("Moves") };
  const auto = switchField(t("Remove on release"), prefs.auto, (on) => set({ auto: on }));
  find("settings-form").replaceChildren(
    choiceField(
      t("Theme"),
      Object.keys(themes),
      prefs.theme,
      (theme) => set({ theme: /** @type {Prefs["theme"]} */ (theme) }),
      themes,
    ),
    choiceField(
      t("Language"),
      Object.keys(languages),
      prefs.language,
      (language) => {
        set({ language });
        setTimeout(() => location.reload()); // once it is kept; the work is there again
      },
      languages,
    ),
    choiceField(
      t("What is painted"),
      Object.keys(inks),
      prefs.ink,
      (ink) => set({ ink: /** @type {Prefs["ink"]} */ (ink) }),
      inks,
    ),
    choiceField(
      t("Wheel"),
      Object.keys(wheels),
      prefs.wheel,
      (wheel) => set({ wheel: /** @type {Prefs["wheel"]} */ (wheel) }),
      wheels,
    ),
    switchField(t("Brush grows with zoom"), prefs.brushLocked, (brushLocked) => {
      const { view, prefs: now } = store.get();
      set({ brushLocked, brush: brushLocked ? now.brush / view.scale : now.brush * view.scale });
    }),
    auto,
    ...(config.settings?.quick_look
      ? [switchField(t("Quick look while a slow model works"), prefs.quickLook, (quickLook) => set({ quickLook }))]
      : []),
    switchField(t("Single-letter keys"), prefs.singleKeys, (singleKeys) => set({ singleKeys })),
  );
  find("settings-form").addEventListener("submit", (event) => event.preventDefault());
  setText(find("about"), `lama-server ${config.version}`);
  store.watch(
    (state) => state.prefs.auto,
    (on) => {
      /** @type {HTMLInputElement} */ (auto.querySelector("input")).checked = on;
    },
  );
}
