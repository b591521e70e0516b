// [data-prevalence="id"]: what a flag means where cancer is rarer or more common. The rates are in
// the <script type="application/json"> of that id. The text is that of
// screening/charts/prevalence.py; a browser test compares the two.
for (const place of document.querySelectorAll("[data-prevalence]")) {
  const rates = JSON.parse(document.getElementById(place.dataset.prevalence).textContent);
  const slider = place.querySelector("input");
  const people = place.querySelector("svg");

  const whole = (count) => Math.floor(count + 0.5);
  const counted = (count) =>
    count > 0 && !whole(count) ? "fewer than 1" : whole(count).toLocaleString("en");
  const of100 = (share) => {
    if (share < 0.01) return "fewer than 1";
    return share > 0.99 ? "more than 99" : String(Math.round(100 * share));
  };

  const meaning = (prevalence) => {
    const cancers = 1000 * prevalence;
    const harmless = 1000 * (1 - prevalence);
    const found = rates.sensitivity * cancers;
    const alarms = (1 - rates.specificity) * harmless;
    const ppv = found + alarms ? found / (found + alarms) : 0;
    return { cancers: whole(cancers), missed: cancers - found, alarms, ppv };
  };

  const sentence = ({ cancers, missed, alarms, ppv }) => {
    const share = of100(ppv);
    return (
      `Of 1,000 people, ${cancers} ${cancers === 1 ? "has" : "have"} cancer or a precursor: ` +
      `the software flags ${cancers - whole(missed)} and misses ${counted(missed)}. ` +
      `It also flags ${counted(alarms)} without cancer. ` +
      `Of 100 flagged, ${share} ${share === "1" ? "has" : "have"} cancer.`
    );
  };

  // A dot for each of 1,000 people, 50 in a row: first those with cancer, then the false alarms.
  const dots = Array.from({ length: 1000 }, (_, number) => {
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("cx", 5 + 10 * (number % 50));
    dot.setAttribute("cy", 5 + 10 * Math.floor(number / 50));
    people.append(dot);
    return dot;
  });

  const show = () => {
    const prevalence = rates.stops[slider.value];
    const { cancers, missed, alarms } = meaning(prevalence);
    const ends = { found: cancers - whole(missed), missed: cancers, alarm: cancers + whole(alarms) };
    dots.forEach((dot, number) => {
      const kind = Object.keys(ends).find((name) => number < ends[name]) ?? "rest";
      dot.setAttribute("class", kind);
      dot.setAttribute("r", kind === "rest" ? 2 : 4);
    });
    const words = `${cancers} (${+(100 * prevalence).toFixed(1)} %)`;
    slider.setAttribute("aria-valuetext", words);
    place.querySelector("[data-chosen]").textContent = words;
    place.querySelector("output").textContent = sentence(meaning(prevalence));
  };

  slider.addEventListener("input", show);
  for (const part of place.querySelectorAll("[data-moving]")) part.hidden = false;
  show();
}
