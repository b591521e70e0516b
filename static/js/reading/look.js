// As ml/inference/look.py and ml/reader.py: one image seen by the network, and what is told of it.

import { encoded } from "./network.js";
import { calibrated, decide, pMalignant, severest, softmax, tell } from "./outcome.js";
import { ofLesion, ofPicture } from "./quality.js";
import { found, main } from "./regions.js";
import { evidenceOfPart, maskOfPart, partOf, reduce } from "./views.js";

const at = (mask) => Uint8Array.from(mask, (one) => (one >= 0.5 ? 1 : 0));
const only = (mask, region) => mask.map((one, n) => one * region[n]);

const partSeen = async (network, pixels, box, whole, known) => {
  const { rules } = network;
  const own = reduce(partOf(pixels, box), rules);
  const seen = await network.see(own, known);
  const mask = only(seen.mask, main(at(seen.mask), own));
  return {
    ...seen,
    evidence: evidenceOfPart(seen.evidence, box, own, whole, rules.diagnoses.length, rules),
    mask: maskOfPart(mask, box, own, whole),
  };
};

/** The probabilities that count: the severest of them is told. */
const readingsOf = (seen, rules) =>
  (rules.by_image ? [seen.logits, seen.imageLogits] : [seen.logits]).map((one) =>
    calibrated(one, rules),
  );

const outcomeOf = (seen, rules) =>
  severest(
    readingsOf(seen, rules).map((one) => decide(one, rules)),
    rules,
  );

/** pixels: { width, height, channels: 3, data }. context: { age, sex, localization }, each undefined
 * where it is not known. */
export const read = async (network, pixels, context) => {
  const { rules } = network;
  const known = encoded(context, rules);
  const image = reduce(pixels, rules);
  const whole = await network.see(image, known);
  const mask = at(whole.mask);
  const isDermatoscopic = whole.share >= rules.floor;
  const regions = isDermatoscopic ? found(image, mask, rules) : { others: [], cores: [] };
  let faults = ofLesion(image, mask, rules);
  if (regions.others.length) {
    if (!faults.includes("lesion_too_small")) faults = [...faults, "more_than_one_lesion"];
    whole.mask = only(whole.mask, main(mask, image));
  }
  const seen = [whole];
  for (const box of [...regions.others, ...regions.cores]) {
    const part = await partSeen(network, pixels, box, image, known);
    if (part.share >= rules.floor) seen.push(part);
  }
  const outcomes = seen.map((one) => outcomeOf(one, rules));
  const two = "more_than_one_lesion";
  // Where no dermatoscopic picture is seen, no lesion in it can be judged either.
  if (!isDermatoscopic) faults = [];
  else if (regions.cores.length && !faults.includes(two) && outcomes[0] === "monitor") {
    faults = [...faults, two];
  }
  const unlike = whole.share < rules.gate ? ["not_dermatoscopic"] : [];
  const all = [...ofPicture(pixels, image, rules), ...unlike, ...faults];
  const told = tell(severest(outcomes, rules), all, isDermatoscopic, rules);
  const decisive = seen[outcomes.indexOf(severest(outcomes, rules))];
  const probabilities = calibrated(decisive.logits, rules);
  return {
    ...told,
    probabilities,
    balanced: softmax(decisive.logits),
    pMalignant: pMalignant(probabilities, rules),
    inDistribution: whole.share,
    contextTerms: decisive.terms,
    evidence: decisive.evidence,
    mask: at(decisive.mask),
    width: image.width,
    height: image.height,
  };
};
