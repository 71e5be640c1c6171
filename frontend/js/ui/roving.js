/** Groups of buttons that are one stop of the Tab key each. Loaded after the page has come. */

/**
 * Arrow keys move inside a group, Tab leaves it.
 * @param {HTMLElement} group @param {string} selector
 */
export function roving(group, selector) {
  const stops = () =>
    /** @type {HTMLElement[]} */ ([...group.querySelectorAll(selector)]).filter(
      (stop) => !stop.hidden && !stop.matches(":disabled"),
    );
  /** @param {HTMLElement | undefined} chosen */
  const settle = (chosen) => {
    const all = stops();
    const stop = chosen && all.includes(chosen) ? chosen : (all.find((each) => each.tabIndex === 0) ?? all[0]);
    for (const each of group.querySelectorAll(selector)) each.setAttribute("tabindex", each === stop ? "0" : "-1");
  };
  group.addEventListener("focusin", (event) => settle(/** @type {HTMLElement} */ (event.target)));
  group.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const all = stops();
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (at < 0 || all.length === 0) return;
    const to =
      event.key === "Home"
        ? 0
        : event.key === "End"
          ? all.length - 1
          : step
            ? (at + step + all.length) % all.length
            : at;
    if (to === at) return;
    event.preventDefault();
    event.stopPropagation();
    all[to].focus();
  });
  settle(undefined);
  // What cannot be pressed any more is no stop.
  const changes = { childList: true, subtree: true, attributeFilter: ["disabled", "hidden"] };
  new MutationObserver(() => settle(undefined)).observe(group, changes);
}

/** The groups that the page comes with. */
export function createGroups() {
  for (const group of document.querySelectorAll("[data-roving]")) roving(/** @type {HTMLElement} */ (group), "button");
}
