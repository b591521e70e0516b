// The exported network in LiteRT, on one thread, as ml/inference/litert.py runs it.

import { Tensor, loadAndCompile, loadLiteRt } from "../../vendor/litert/litert.js";
import { evidenceOnFrame, masksOnFrame, viewsOf } from "./views.js";

/** For the page to answer between two views. */
const breath = () => new Promise((resolve) => setTimeout(resolve));

/** As ml/context.py: hats of age at the knots, then one-hot sex, then one-hot site. What is not
 * known (undefined) adds nothing. */
export const encoded = ({ age, sex, localization }, { context }) => {
  const knots = context.age_knots;
  const step = knots[1] - knots[0];
  const years = age === undefined ? undefined : Math.min(age, knots.at(-1));
  return Float32Array.from([
    ...knots.map((knot) =>
      years === undefined ? 0 : Math.max(0, 1 - Math.abs(years - knot) / step),
    ),
    ...context.sexes.map((one) => (one === sex ? 1 : 0)),
    ...context.localizations.map((one) => (one === localization ? 1 : 0)),
  ]);
};

const sigmoid = (logit) => {
  const power = Math.fround(Math.exp(-logit));
  return Math.fround(1 / Math.fround(1 + power));
};

const meanOf = (lists) =>
  Array.from(lists[0], (_, n) => lists.reduce((sum, one) => sum + one[n], 0) / lists.length);

export class Network {
  /** runtime, code: addresses of LiteRT's loader and of its WebAssembly; model: the network's bytes. */
  static async load(runtime, code, model, rules) {
    // Its notes go to the console as errors; only those that are do.
    const printErr = (line) => /^(ERROR|FATAL)/.test(line) && console.error(line);
    self.Module = { locateFile: () => code, printErr };
    await loadLiteRt(runtime);
    return new Network(await loadAndCompile(model, { accelerator: "wasm" }), rules);
  }

  constructor(model, rules) {
    this.model = model;
    this.rules = rules;
    const pixels = model.getInputDetails().find(({ name }) => name.includes("pixels"));
    this.side = pixels.shape[1];
  }

  async #run(view, known) {
    const inputs = {
      pixels: new Tensor(view, [1, this.side, this.side, 3]),
      context: new Tensor(known, [1, known.length]),
    };
    try {
      const outputs = await this.model.run("serving_default", inputs);
      const values = {};
      for (const [name, tensor] of Object.entries(outputs)) {
        values[name] = Float32Array.from(tensor.toTypedArray());
        tensor.delete();
      }
      return values;
    } finally {
      for (const tensor of Object.values(inputs)) tensor.delete();
    }
  }

  /** All views of a reduced image. Logits: the mean of the views; `terms`: of age, sex and site. */
  async see(image, known) {
    const each = [];
    for (const view of viewsOf(image, this.side, this.rules)) {
      each.push(await this.#run(view, known));
      await breath();
    }
    const all = (name) => each.map((one) => one[name]);
    const k = this.rules.diagnoses.length;
    const imageLogits = meanOf(all("image_logits"));
    const flat = meanOf(all("context_terms"));
    const terms = this.rules.context.fields.map((_, n) => flat.slice(n * k, (n + 1) * k));
    return {
      imageLogits,
      terms,
      logits: imageLogits.map((one, n) => terms.reduce((sum, term) => sum + term[n], one)),
      share: 1 / (1 + Math.exp(-meanOf(all("in_distribution"))[0])),
      evidence: evidenceOnFrame(all("evidence"), image, k, this.rules),
      mask: masksOnFrame(
        all("mask").map((logits) => logits.map(sigmoid)),
        image,
        this.rules,
      ),
    };
  }
}
