// The page "Try a picture": loads the reader once, reads a picture on the device, tells the result.

import { advise, percent } from "./advice.js";
import { keep } from "./kept.js";
import { read } from "./look.js";
import { evidenceGrid, outlineOf } from "./maps.js";
import { Network } from "./network.js";
import { Refused, open } from "./opening.js";

const page = document.querySelector("[data-try]");
const rules = JSON.parse(document.getElementById("rules").textContent);
const downloads = JSON.parse(document.getElementById("downloads").textContent);
const form = page.querySelector("[data-picture]");
const part = (name) => page.querySelector(`[data-${name}]`);
const show = (name, words) => {
  part(name).textContent = words;
  part(name).hidden = !words;
};
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

// The reader

let network = null;
let loading = null;

const registered = async () => {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(page.dataset.worker, { scope: page.dataset.page });
    await navigator.serviceWorker.ready;
    if (navigator.serviceWorker.controller) return;
    await new Promise((resolve) => {
      navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
      setTimeout(resolve, 2000);
    });
  } catch {
    // It then works with a network only.
  }
};
const ready = registered();

const all = Object.values(downloads).reduce((sum, size) => sum + size, 0);
let loaded = 0;

const fetched = async (path) => {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  const bytes = new Uint8Array(downloads[path]);
  const reader = answer.body.getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.set(value, at);
    at += value.length;
    loaded += value.length;
    page.querySelector("progress").value = loaded / all;
    part("load-state").textContent = `${megabytes(loaded)} of ${megabytes(all)} MB`;
  }
  if (at !== bytes.length) throw new Error(`${path} was cut off`);
  return bytes;
};

/** As ml.reader asks it: whether the network is its card's. Only told where the site has HTTPS. */
const isOfCard = async (model) => {
  if (!crypto.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", model));
  const found = [...digest].map((one) => one.toString(16).padStart(2, "0")).join("");
  return found === rules.weights_sha256;
};

const load = async () => {
  loaded = 0;
  show("load-error", "");
  part("load-button").hidden = true;
  part("load-progress").hidden = false;
  try {
    await ready;
    const model = await fetched(page.dataset.network);
    if (!(await isOfCard(model))) throw new Error("the network is not its card's");
    await fetched(page.dataset.runtimeCode); // now kept; LiteRT asks for it by itself
    const { runtime, runtimeCode } = page.dataset;
    network = await Network.load(runtime, runtimeCode, model, rules);
    part("load-progress").hidden = true;
    part("load-words").textContent = navigator.serviceWorker?.controller
      ? "The reader is loaded. It now works without a network."
      : "The reader is loaded.";
  } catch (error) {
    loading = null;
    part("load-progress").hidden = true;
    part("load-button").hidden = false;
    show("load-error", "The reader could not be loaded. Check your connection and try again.");
    throw error;
  }
};
const loadedOnce = () => (loading ??= load());
part("load-button").addEventListener("click", () => loadedOnce().catch(() => {}));

// The picture

let file = null;
let shown = null;

const aboutSpot = () => {
  const age = form.elements.age.value.trim();
  return {
    age: age === "" ? undefined : Number(age),
    sex: form.elements.sex.value || undefined,
    localization: form.elements.localization.value || undefined,
    symptoms: [...form.querySelectorAll("[name=symptoms]:checked")].map((one) => one.value),
  };
};

const refuse = (words, field) => {
  show("picture-error", words);
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
};

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  show("picture-error", "");
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  const about = aboutSpot();
  [file] = form.elements.picture.files;
  if (!file) return refuse("Choose a picture first.", form.elements.picture);
  const isAge = about.age === undefined || (about.age >= 0 && about.age <= rules.context.most_years);
  if (!isAge || !form.elements.age.validity.valid) {
    const words = `Age must be a whole number of years between 0 and ${rules.context.most_years}.`;
    return refuse(words, form.elements.age);
  }
  part("read").disabled = true;
  part("picture-state").textContent = network ? "Reading the picture." : "Loading the reader first.";
  try {
    await loadedOnce();
    part("picture-state").textContent = "Reading the picture.";
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const pixels = await open(file, rules);
    const started = performance.now();
    const reading = await read(network, pixels, about);
    page.dataset.milliseconds = Math.round(performance.now() - started);
    tell(reading, about, pixels);
  } catch (error) {
    if (error instanceof Refused) refuse(error.message, form.elements.picture);
    else if (network) {
      refuse("The picture could not be read here. Create an account and add it there.", form.elements.picture);
      throw error;
    }
  } finally {
    part("read").disabled = false;
    part("picture-state").textContent = "";
  }
  return undefined;
});

// The result

const element = (name, words, className) => {
  const made = document.createElement(name);
  if (words !== undefined) made.textContent = words;
  if (className) made.className = className;
  return made;
};

const shareRow = (code, share) => {
  const { title, gloss } = rules.words.diagnoses[code];
  const row = element("div", undefined, "share");
  const name = element("dt", `${title} `);
  name.append(element("span", `(${gloss})`, "muted"));
  const value = element("dd");
  const bar = element("meter", undefined, "bar");
  [bar.min, bar.max, bar.value] = [0, 1, share];
  bar.setAttribute("aria-hidden", "true");
  value.append(bar, element("span", percent(share), "number"));
  row.append(name, value);
  return row;
};

const tableRow = (n, { probabilities, balanced }) => {
  const { title, gloss } = rules.words.diagnoses[rules.diagnoses[n]];
  const row = element("tr");
  const name = element("th", `${title} `);
  name.scope = "row";
  name.append(element("span", `(${gloss})`, "muted"));
  const numbers = [probabilities[n], balanced[n]];
  row.append(name, ...numbers.map((share) => element("td", percent(share), "number")));
  return row;
};

/** Positions of the diagnoses, the likeliest first. */
const ranked = (shares) => shares.map((_, n) => n).sort((a, b) => shares[b] - shares[a]);

const layOver = (reading, pixels) => {
  const tools = part("overlay-tools").content.cloneNode(true);
  const grid = evidenceGrid(reading, rules);
  const outline = outlineOf(reading.mask, reading);
  const drawing = tools.querySelector("[data-drawing]");
  drawing.setAttribute("viewBox", `0 0 ${pixels.width} ${pixels.height}`);
  const scale = `scale(${pixels.width} ${pixels.height})`;
  drawing.querySelector("[data-scaled]").setAttribute("transform", scale);
  const evidence = drawing.querySelector("image");
  evidence.setAttribute("width", grid.across.toFixed(4));
  evidence.setAttribute("height", grid.down.toFixed(4));
  if (outline.length) {
    const points = outline.map(([x, y]) => `${x.toFixed(4)},${y.toFixed(4)}`).join(" ");
    for (const line of drawing.querySelectorAll("polygon")) line.setAttribute("points", points);
    tools.querySelector("[data-no-outline]").remove();
  } else {
    drawing.querySelector("[data-overlay=outline]").remove();
    tools.querySelector("[data-switch=outline]").remove();
  }
  for (const n of ranked(reading.probabilities)) {
    const code = rules.diagnoses[n];
    const words = `${rules.words.diagnoses[code].title}, ${percent(reading.probabilities[n])}`;
    const choice = element("option", words);
    choice.value = code;
    tools.querySelector("select").append(choice);
  }
  const data = element("script", JSON.stringify(grid));
  [data.type, data.id] = ["application/json", "evidence-grid"];
  part("overlays").replaceChildren(tools, data);
  document.dispatchEvent(new Event("htmx:afterSettle")); // js/overlays.js takes it from here
};

const tell = (reading, about, pixels) => {
  const told = advise(reading, about, rules);
  part("advice").className = `advice advice-${told.outcome}`;
  const icon = page.querySelector(`template[data-outcome-icon="${told.outcome}"]`);
  part("icon").replaceChildren(icon.content.cloneNode(true));
  part("outcome").textContent = rules.words.outcomes[told.outcome];
  part("title").textContent = told.title;
  const paragraphs = [...told.text, ...(told.falseAlarms ? [told.falseAlarms] : [])];
  part("text").replaceChildren(...paragraphs.map((words) => element("p", words)));

  const hasClass = reading.outcome !== "not_assessable";
  part("shares").hidden = !hasClass;
  part("chance").hidden = !hasClass;
  part("malignant").textContent = percent(reading.pMalignant);
  part("about-percent").textContent = told.aboutPercent;
  const order = ranked(reading.probabilities);
  const isFlagged = rules.dangerous.includes(reading.outcome);
  part("harmless-first").hidden = !isFlagged || rules.malignant.includes(order[0]);
  const [balanced] = ranked(reading.balanced);
  const top = order.filter((n, place) => place < rules.shown.top || n === balanced);
  part("top").replaceChildren(
    ...top.map((n) => shareRow(rules.diagnoses[n], reading.probabilities[n])),
  );
  part("all").replaceChildren(...order.map((n) => tableRow(n, reading)));
  const another = rules.words.diagnoses[rules.diagnoses[balanced]].title;
  part("balanced").textContent =
    balanced === order[0]
      ? ""
      : `If all diagnoses were equally common, another would come first: ${another}.`;

  if (shown) URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(file);
  const picture = element("img");
  [picture.src, picture.alt, picture.draggable] = [shown, "The picture that you chose", false];
  part("layers").replaceChildren(picture);
  part("overlays").replaceChildren();
  part("result").hidden = false;
  part("steps").hidden = true;
  if (hasClass) layOver(reading, pixels);
  else {
    part("overlays").replaceChildren(Object.assign(element("div"), { id: "overlays" }));
    document.dispatchEvent(new Event("htmx:afterSettle"));
  }
  part("result").focus();
  part("result").scrollIntoView({ block: "start" });
};

part("another").addEventListener("click", () => {
  part("result").hidden = true;
  part("steps").hidden = false;
  form.reset();
  form.elements.picture.focus();
});

part("keep").addEventListener("click", async () => {
  const consent = part("keep-consent");
  show("keep-error", consent.checked ? "" : "Tick the box first: without it, nothing is kept.");
  if (!consent.checked) {
    consent.focus();
    return;
  }
  try {
    await keep(file);
  } catch {
    show("keep-error", "This browser keeps nothing. Choose the picture again once you are signed in.");
    return;
  }
  location.assign(page.dataset.signUp);
});
