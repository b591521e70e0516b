// What the person is told of a reading, as screening/predictions/advice.py puts it together. All words
// come from there, as `rules.words`.

const listed = (words) =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

/** The outcome that is told: with a symptom never less than to see a doctor, and never to watch a
 * child's spot. about: { symptoms: [...], age } */
export const toldOutcome = ({ outcome }, { symptoms, age }, rules) => {
  const isMilder = !rules.dangerous.includes(outcome);
  if (isMilder && symptoms.length) return "see_doctor";
  if (outcome === "monitor" && age !== undefined && age <= rules.adult_from) return "see_doctor";
  return outcome;
};

const uncounted = { aboutPercent: "", falseAlarms: "" };

/** { outcome, title, text: [paragraphs], aboutPercent, falseAlarms } */
export const advise = (reading, about, rules) => {
  const { words } = rules;
  const told = toldOutcome(reading, about, rules);
  const isOfChild = about.age !== undefined && about.age <= rules.adult_from;
  const beside = reading.remarks.map((code) => words.remarks[code]);
  const remarks = beside.length ? [beside.join(" ")] : [];
  const child = isOfChild ? [words.of_child] : [];
  if (told === "not_assessable") {
    const text = [...words.reasons[reading.reason], ...remarks, words.not_an_all_clear, ...child];
    return { outcome: told, title: words.not_assessable, text, ...uncounted };
  }
  if (told === "monitor") {
    const tips = reading.remarks.map((code) => words.reasons[code][1]);
    const text = [words.no_alarm, words.watch_for, ...remarks, ...tips];
    return { outcome: told, title: words.monitor, text, ...uncounted };
  }
  const marked = about.symptoms.length ? [words.marked.replace("{}", listed(about.symptoms))] : [];
  const why = [...marked, ...child];
  const title = words[told];
  if (reading.outcome === "not_assessable") {
    const text = [...why, ...words.reasons[reading.reason], ...remarks, words.not_an_all_clear];
    return { outcome: told, title, text, ...uncounted };
  }
  if (reading.outcome === "monitor") {
    const text = [...why, words.not_by_software_alone, ...remarks];
    return { outcome: told, title, text, ...uncounted };
  }
  const text = [
    words.next_step,
    ...(words.how_often[told] ? [words.how_often[told]] : []),
    ...why,
    ...remarks.map((remark) => `${remark} ${words.read_all_the_same}`),
  ];
  if (!words.how_often[told] || reading.outcome !== told) {
    return { outcome: told, title, text, ...uncounted };
  }
  const falseAlarms = words.false_alarms[told];
  return { outcome: told, title, text, aboutPercent: words.about_percent, falseAlarms };
};

/** Whole per cent; "<1 %" and ">99 %" at the ends. */
export const percent = (share) => {
  if (share < 0.01) return "<1 %";
  return share > 0.99 ? ">99 %" : `${Math.round(share * 100)} %`;
};
