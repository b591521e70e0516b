// Sends each picture by itself, so that one that is refused does not hold up the others.
(() => {
  const form = document.querySelector("[data-upload]");
  const input = form.querySelector('input[name="file"]');
  const camera = form.querySelector("[data-camera-input]");
  const drop = form.querySelector("[data-drop]");
  const list = form.querySelector("[data-uploads]");
  const row = document.querySelector("[data-upload-row]");
  const tooLarge = "The file is larger than 20 MB. Export it smaller and add it again.";
  const failures = {
    0: "The connection broke. The picture was not added; try it again.",
    403: "You may not add pictures here, or the page has been open too long. Load it anew.",
    413: tooLarge,
  };

  const send = (file, onProgress, again) =>
    new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const body = new FormData();
      for (const name of ["csrfmiddlewaretoken", "captured_on", "modality"]) {
        body.append(name, form.elements[name].value);
      }
      if (again) body.append("allow_duplicate", "on");
      body.append("file", file, file.name);
      request.upload.addEventListener("progress", (event) => onProgress(event.loaded / event.total));
      request.addEventListener("loadend", () => {
        let answer = {};
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          // Not our page's answer: a proxy's, or none. The status says what there is to say.
        }
        if (answer.results) resolve(answer.results[0]);
        else {
          const message = answer.errors?.join(" ") ?? failures[request.status];
          resolve({ url: null, message: message ?? "The picture was not added. Try it again." });
        }
      });
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      request.send(body);
    });

  const begin = (file) => {
    const item = row.content.firstElementChild.cloneNode(true);
    item.querySelector("[data-name]").textContent = file.name;
    item.querySelector("[data-state]").textContent = "Waiting";
    const preview = item.querySelector("img");
    preview.src = URL.createObjectURL(file);
    preview.addEventListener("error", () => (preview.style.visibility = "hidden"));
    list.hidden = false;
    list.append(item);
    return item;
  };

  // The same picture is on another lesion: nothing was added yet.
  const ask = (state, item, file, result) => {
    const there = document.createElement("a");
    there.href = result.elsewhere;
    there.textContent = "Go there";
    const here = document.createElement("button");
    here.type = "button";
    here.className = "btn btn-secondary";
    here.textContent = "Add it here as well";
    here.addEventListener("click", async () => {
      state.textContent = "Sending";
      finish(item, file, await send(file, () => {}, true));
    });
    state.append(" ", there, " ", here);
  };

  const finish = (item, file, result) => {
    item.querySelector("progress")?.remove();
    const state = item.querySelector("[data-state]");
    state.textContent = result.url ? "" : result.message;
    item.classList.toggle("failed", !result.url);
    if (result.elsewhere) ask(state, item, file, result);
    if (!result.url) return;
    const link = document.createElement("a");
    link.href = result.url;
    link.textContent = result.is_new ? "Added. Open the result" : result.message;
    state.append(link);
  };

  const addAll = async (files) => {
    const waiting = files.map((file) => [file, begin(file)]);
    const results = [];
    for (const [file, item] of waiting) {
      const state = item.querySelector("[data-state]");
      const bar = item.querySelector("progress");
      state.textContent = "Sending";
      const result =
        file.size > Number(form.dataset.maxBytes)
          ? { url: null, message: tooLarge }
          : await send(file, (share) => {
              bar.value = share;
              if (share === 1) state.textContent = "Checking";
            });
      finish(item, file, result);
      results.push(result);
    }
    if (!results.every((result) => result.url)) return;
    const onlyOne = list.children.length === 1;
    if (onlyOne && !results[0].is_new) return; // stay, and say that it is here already
    location.assign(onlyOne ? results[0].url : form.dataset.lesionUrl);
  };

  let queue = Promise.resolve();
  const take = (files) => {
    const chosen = [...files];
    if (chosen.length) queue = queue.then(() => addAll(chosen));
  };

  for (const source of [input, camera]) {
    source.addEventListener("change", () => {
      take(source.files);
      source.value = "";
    });
  }
  take(input.files); // chosen before this script was there
  input.value = "";
  form.querySelector("[data-choose]").addEventListener("click", () => input.click());
  form.querySelector("[data-camera]").addEventListener("click", () => camera.click());
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
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
    take(event.dataTransfer.files);
  });
})();
