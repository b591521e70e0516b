// Each chosen picture gets its own day and kind and is sent separately: a rejected one does not block
// the others, and can be sent again alone.
const form = document.querySelector("[data-upload]");
const [{ takenOn }, { keep }, { canTakePictures, takePicture }] = await Promise.all([
  import(form.dataset.exif),
  import(form.dataset.waitingScript),
  import(form.dataset.cameraScript),
]);

const input = form.querySelector('input[name="file"]');
const camera = form.querySelector("[data-camera-input]");
const drop = form.querySelector("[data-drop]");
const list = form.querySelector("[data-uploads]");
const row = document.querySelector("[data-upload-row]");
const submit = form.querySelector("[data-add]");
const loggedOut = form.querySelector("[data-logged-out]");
const maxBytes = Number(form.dataset.maxBytes);
const tooLarge = `The file is larger than ${form.dataset.inBytes}. Export it smaller and add it again.`;
const failures = {
  0: "The connection broke. The picture was not added.",
  403: "You may not add pictures here.",
  413: tooLarge,
  503: "Many pictures are being checked now. Try again in a minute.",
};

/** @type {{file: File, item: HTMLElement, state: "waiting"|"sending"|"failed"|"added"|"kept", url: ?string}[]} */
let chosen = [];
let busy = false;
let settled; // the timer that ends ``settle``
const MOMENT = 800; // ms: a second click comes sooner

const today = () => {
  const now = new Date();
  const two = (number) => String(number).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
};

const part = (picture, name) => picture.item.querySelector(`[data-${name}]`);

/** What the button says and whether it can be used. */
const showButton = () => {
  const left = chosen.filter((one) => one.state === "waiting").length;
  submit.hidden = !chosen.length || (!busy && !left);
  submit.classList.toggle("disabled", busy);
  submit.setAttribute("aria-disabled", busy);
  const words = left === 1 ? "Add 1 picture" : `Add ${left} pictures`;
  submit.querySelector("span").textContent = busy ? "Adding" : words;
  list.hidden = !chosen.length;
};

const say = (picture, words, state = picture.state) => {
  picture.state = state;
  part(picture, "state").textContent = words;
  picture.item.classList.toggle("failed", state === "failed");
  part(picture, "bar").hidden = state !== "sending";
  part(picture, "fields").hidden = state === "added" || state === "kept";
  part(picture, "again").hidden = state !== "failed";
  part(picture, "remove").hidden = ["added", "sending", "kept"].includes(state);
  for (const field of picture.item.querySelectorAll("input, select")) {
    field.disabled = state === "sending";
  }
  showButton();
};

const take = async (files) => {
  for (const file of files) {
    const item = row.content.firstElementChild.cloneNode(true);
    const picture = { file, item, state: "waiting", url: null };
    chosen.push(picture);
    const number = form.dataset.next++;
    for (const field of item.querySelectorAll("[data-label]")) {
      const control = part(picture, field.dataset.label);
      control.id = `${field.dataset.label}-${number}`;
      field.htmlFor = control.id;
    }
    part(picture, "name").textContent = file.name;
    part(picture, "kind").value = form.elements.modality.value;
    const preview = item.querySelector("img");
    preview.addEventListener("error", () => {
      preview.replaceWith(part(picture, "no-preview").content.cloneNode(true));
    });
    preview.src = URL.createObjectURL(file);
    list.append(item);
    list.hidden = false;
    if (picture === chosen[0]) item.scrollIntoView({ block: "center" });
    if (file.size > maxBytes) {
      say(picture, tooLarge, "failed");
      part(picture, "again").hidden = true;
      continue;
    }
    say(picture, "");
    await fillInDay(picture);
  }
};

const fillInDay = async (picture) => {
  const { day, noDay } = await takenOn(picture.file);
  const isDicom = /\.dcm$/i.test(picture.file.name) || picture.file.type === "application/dicom";
  const control = part(picture, "day");
  if (!control.value && !isDicom && !noDay) control.value = day || today();
  part(picture, "source").textContent = day
    ? "This date comes from the file."
    : noDay
      ? `The file says “${noDay}”, which is no day. Give the day.`
      : isDicom
        ? "If you leave it empty, the date in the file is used."
        : "The file has no date, so today’s is filled in. Change it if the picture is older.";
};

const fields = (picture) => ({
  captured_on: part(picture, "day").value,
  modality: part(picture, "kind").value,
  ...(form.elements.allow_burned_in.checked && { allow_burned_in: "on" }),
  ...(form.elements.allow_capture.checked && { allow_capture: "on" }),
  ...(form.elements.read_photographs.checked && { read_photographs: "on" }),
  ...(picture.isElsewhere && { allow_duplicate: "on" }), // the user was told before sending it again
});

const body = (picture) => {
  const data = new FormData();
  data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  for (const [name, value] of Object.entries(fields(picture))) data.append(name, value);
  data.append("file", picture.file, picture.file.name);
  return data;
};

const send = (picture) =>
  new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const bar = part(picture, "bar");
    request.upload.addEventListener("progress", (event) => {
      bar.value = event.loaded / event.total;
      if (event.loaded === event.total) say(picture, "Checking");
    });
    request.addEventListener("loadend", () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // Not our page's response: a proxy's, the login page, or none. The status tells which.
      }
      const asked = new URL(form.action).pathname;
      const wentElsewhere =
        request.responseURL && new URL(request.responseURL).pathname !== asked;
      resolve({ status: request.status, answer, wentElsewhere });
    });
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(body(picture));
  });

/** Whether the user is still logged in. Takes over the token of the current session. */
const isLoggedIn = async () => {
  try {
    const answer = await fetch(form.action, { headers: { Accept: "text/html" } });
    if (answer.redirected || !answer.ok) return !answer.redirected && answer.status !== 401;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const token = page.querySelector('[data-upload] [name="csrfmiddlewaretoken"]');
    if (token) form.elements.csrfmiddlewaretoken.value = token.value;
    return true;
  } catch {
    return true; // no connection: reported elsewhere
  }
};

/** The same picture is on another lesion: nothing was added yet. */
const offer = (picture, elsewhere) => {
  picture.isElsewhere = true;
  const there = document.createElement("a");
  there.href = elsewhere;
  there.textContent = "Go there";
  part(picture, "state").append(" ", there);
  part(picture, "again").querySelector("span").textContent = "Add it here as well";
};

/** No connection: it waits on this device. False in a browser that keeps nothing. */
const wait = async (picture) => {
  const { file } = picture;
  try {
    const spot = form.dataset.spot;
    picture.kept = await keep({ address: form.action, spot, file, fields: fields(picture) });
  } catch {
    return false;
  }
  say(picture, "No connection. It waits on this device and is sent later. You may leave this page.", "kept");
  return true;
};

/** Whether to go on with the next one. */
const add = async (picture) => {
  say(picture, "Sending", "sending");
  let sent = await send(picture);
  // 413: nobody sends a picture who is not logged in.
  if (sent.wentElsewhere || [401, 403, 413].includes(sent.status)) {
    if (!(await isLoggedIn())) {
      say(picture, "", "waiting");
      loggedOut.hidden = false;
      loggedOut.focus();
      return false;
    }
    sent = await send(picture); // logged in again in another tab: use that session's token
  }
  const { status, answer } = sent;
  if (status === 0 && (await wait(picture))) return true;
  const result = answer.results?.[0];
  if (!result?.url) {
    const words = result?.message ?? answer.errors?.join(" ") ?? failures[status];
    say(picture, words ?? "The picture was not added. Try again.", "failed");
    if (result?.elsewhere) offer(picture, result.elsewhere);
    return true;
  }
  tellAdded(picture, result);
  return true;
};

const tellAdded = (picture, result) => {
  picture.url = result.url;
  picture.isNew = result.is_new;
  document.dispatchEvent(new CustomEvent("picture-added", { detail: picture.file }));
  say(picture, "", "added");
  const link = document.createElement("a");
  link.href = result.url;
  link.textContent = result.is_new ? "Added. Open the result" : result.message;
  part(picture, "state").append(link);
};

const leave = () => {
  if (!chosen.length || !chosen.every((picture) => picture.state === "added")) return;
  if (!chosen.every((picture) => picture.isNew)) return; // one was here already: stay and say so
  location.assign(chosen.length > 1 ? form.dataset.lesionUrl : chosen[0].url);
};

/** Ignore clicks on links for a moment: after a double click one may have moved under the pointer. */
const settle = () => {
  form.classList.add("settling");
  clearTimeout(settled);
  settled = setTimeout(() => form.classList.remove("settling"), MOMENT);
};

const addAll = async () => {
  if (busy) return;
  busy = true;
  settle();
  list.style.minHeight = `${list.offsetHeight}px`; // what is below keeps its place
  let picture;
  while ((picture = chosen.find((one) => one.state === "waiting"))) {
    if (!(await add(picture))) break;
  }
  busy = false;
  settle();
  list.style.minHeight = "";
  showButton();
  if (chosen.length) leave();
};

document.addEventListener("picture-sent", ({ detail }) => {
  const picture = chosen.find((one) => one.kept === detail.id);
  if (picture) tellAdded(picture, detail.result);
});

document.addEventListener("picture-refused", ({ detail }) => {
  const picture = chosen.find((one) => one.kept === detail.id);
  if (picture) say(picture, detail.problem, "failed");
});

form.elements.modality.addEventListener("change", ({ target }) => {
  for (const picture of chosen) {
    if (picture.state !== "added") part(picture, "kind").value = target.value;
  }
});

list.addEventListener("click", (event) => {
  const picture = chosen.find((one) => one.item.contains(event.target));
  if (!picture) return;
  if (event.target.closest("[data-again]")) {
    say(picture, "", "waiting");
    addAll();
  } else if (event.target.closest("[data-remove]")) {
    chosen = chosen.filter((one) => one !== picture);
    picture.item.remove();
    showButton();
    input.focus();
  }
});

document.addEventListener("visibilitychange", async () => {
  if (document.hidden || loggedOut.hidden || !(await isLoggedIn())) return;
  loggedOut.hidden = true;
  addAll();
});

for (const source of [input, camera]) {
  source.addEventListener("change", () => {
    take([...source.files]);
    source.value = "";
  });
}
take([...input.files]); // chosen before this script loaded
input.value = "";
form.querySelector("[data-choose]").addEventListener("click", () => input.click());
form.querySelector("[data-camera]").addEventListener("click", async () => {
  if (!canTakePictures()) {
    camera.click();
    return;
  }
  const file = await takePicture(document.querySelector("[data-camera-dialog]"));
  if (file) take([file]);
});
document.querySelector("[data-camera-instead]").addEventListener("click", () => camera.click());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  loggedOut.hidden = true;
  addAll();
});
window.addEventListener("beforeunload", (event) => {
  if (chosen.some(({ state }) => state === "waiting" || state === "sending")) event.preventDefault();
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  drop.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  drop.classList.remove("over");
  take([...event.dataTransfer.files]);
});
form.dataset.ready = "";
