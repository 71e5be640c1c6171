/** The sample photos that come with the page. */

/** @param {HTMLElement} button shows the small picture of one @returns {Promise<File>} */
export async function sample(button) {
  const small = /** @type {HTMLImageElement} */ (button.querySelector("img")).src;
  const response = await fetch(small.replace("-small.jpg", ".jpg"));
  return new File([await response.blob()], `${button.dataset.sample}.jpg`, { type: "image/jpeg" });
}
