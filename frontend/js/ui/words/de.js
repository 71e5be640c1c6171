/** German. */

/** @type {Readonly<Record<string, string>>} */
export const WORDS = {};
