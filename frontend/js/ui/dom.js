/** Small helpers to find and make elements. Text only ever becomes text. */

/** @param {string} id @returns {HTMLElement} */
export function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element #${id}.`);
  return element;
}

/** @param {string} id */
export const findInput = (id) => /** @type {HTMLInputElement} */ (find(id));
/** @param {string} id */
export const findButton = (id) => /** @type {HTMLButtonElement} */ (find(id));

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, string | boolean | number | ((event: any) => void)>>} properties "on..." are listeners,
 *   true and false set and drop an attribute, `class` and `text` are what they say, the rest are attributes
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = String(value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** @param {string} name @returns {SVGSVGElement} */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Writes only what differs, so that nothing is announced or laid out again for nothing. @param {HTMLElement} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

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
  return () => settle(undefined);
}

/** Whether something is open above the page that keys belong to. */
export const somethingOpen = () => document.querySelector("dialog[open], :popover-open") !== null;
