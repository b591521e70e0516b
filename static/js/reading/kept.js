// One picture that was tried, kept in this browser until its owner adds it to a record or deletes it.

const DAYS = 7;
const NAME = "tried";

const answered = (request) =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });

const store = async (mode) => {
  const opening = indexedDB.open(NAME, 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(NAME));
  const database = await answered(opening);
  return database.transaction(NAME, mode).objectStore(NAME);
};

export const keep = async (file) => {
  const picture = { file, name: file.name, until: Date.now() + DAYS * 24 * 3600 * 1000 };
  await answered((await store("readwrite")).put(picture, NAME));
};

export const remove = async () => answered((await store("readwrite")).delete(NAME));

/** A File; null where none is kept, or its days are over. */
export const kept = async () => {
  const databases = (await indexedDB.databases?.()) ?? [{ name: NAME }];
  if (!databases.some(({ name }) => name === NAME)) return null;
  const found = await answered((await store("readonly")).get(NAME));
  if (found && found.until < Date.now()) await remove();
  if (!found || found.until < Date.now()) return null;
  return new File([found.file], found.name, { type: found.file.type });
};

const note = document.querySelector("[data-kept]");
const picture = note ? await kept().catch(() => null) : null;
if (picture) {
  const image = note.querySelector("img");
  image.src = URL.createObjectURL(picture);
  note.hidden = false;
  note.querySelector("[data-kept-delete]").addEventListener("click", async () => {
    await remove();
    note.querySelector("[data-kept-words]").textContent = "The picture is deleted from this device.";
    for (const one of note.querySelectorAll("img, button")) one.remove();
  });
  note.querySelector("[data-kept-add]")?.addEventListener("click", () => {
    const files = new DataTransfer();
    files.items.add(picture);
    const input = document.querySelector("[data-upload] input[name=file]");
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    note.hidden = true;
  });
  // Once it is in the record it is not needed here.
  document.addEventListener("picture-added", async ({ detail }) => {
    if (detail.name === picture.name && detail.size === picture.size) await remove();
  });
}
