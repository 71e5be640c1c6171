/** What a server says of itself, for tests of the page. */

/** @type {import("../../frontend/js/wire/protocol.js").Config} */
export const config = {
  version: "1",
  boot_id: "b",
  model: "opencv",
  device: "cpu",
  output_dir: null,
  open_image: null,
  input_dir: null,
  limits: { max_megapixels: 128, max_side_px: 32768, upload_bytes: 2 ** 28, runs: 16, shapes: 2000 },
  settings: {},
};
