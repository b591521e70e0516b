// As ml/calibrate.py and ml/outcome.py: from logits to what the person is told. `rules` is made from
// the version's card.

/** softmax((logits + log prior) / temperature), in the order of rules.diagnoses. */
export const calibrated = (logits, { prior, temperature }) =>
  softmax(logits.map((one, n) => (one + Math.log(prior[n])) / temperature));

export const softmax = (logits) => {
  const most = Math.max(...logits);
  const powers = logits.map((one) => Math.exp(one - most));
  const sum = powers.reduce((total, one) => total + one, 0);
  return powers.map((one) => one / sum);
};

export const pMalignant = (probabilities, { malignant }) =>
  malignant.reduce((sum, n) => sum + probabilities[n], 0);

/** The most severe outcome whose threshold is reached, by malignancy or by melanoma alone. */
export const decide = (probabilities, rules) => {
  const malignant = pMalignant(probabilities, rules);
  const melanoma = probabilities[rules.diagnoses.indexOf("mel")];
  const reached = rules.dangerous.find(
    (outcome) =>
      malignant >= rules.thresholds[outcome] ||
      melanoma >= (rules.thresholds[`${outcome}_mel`] ?? 2),
  );
  return reached ?? "monitor";
};

export const severest = (outcomes, rules) =>
  rules.outcomes.find((outcome) => outcomes.includes(outcome));

/** A fault never hides a dangerous reading of a dermatoscopic picture: it is told beside it. */
export const tell = (assessed, faults, isDermatoscopic, rules) => {
  const refusing = faults.filter((fault) => !rules.remarks_only.includes(fault));
  if (isDermatoscopic && (rules.dangerous.includes(assessed) || !refusing.length)) {
    return { outcome: assessed, reason: "", remarks: faults };
  }
  const [reason] = refusing;
  return {
    outcome: "not_assessable",
    reason,
    remarks: faults.filter((fault) => fault !== reason),
  };
};
