// Pictures that could not be sent for want of a connection. They wait in this browser, are sent when
// a page of the account that added them is open and the connection is back, and are deleted at log-out.

const NAME = "waiting";
const DAYS = 7; // another account's pictures stay for this long: whose session ended may return
const AGAIN = 10_000; // ms
const PATIENCE = { page: 10_000, picture: 180_000 }; // ms: a phone that changes networks may never hear more
const BUSY = "The site is busy. Try again in a minute.";
const CHANGED = "You are logged out here, or logged in anew. Reload this page, then send again.";
const NO_CONNECTION = "There is still no connection.";
const note = document.querySelector("[data-waiting]");
const { account, logOut } = note.dataset;
const part = (name) => note.querySelector(`[data-waiting-${name}]`);
let stopped = ""; // why "Send now" did not send all

const answered = (request) =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });

const store = async (mode) => {
  const opening = indexedDB.open(NAME, 1);
  opening.addEventListener("upgradeneeded", () => {
    opening.result.createObjectStore(NAME, { keyPath: "id", autoIncrement: true });
  });
  const database = await answered(opening);
  return database.transaction(NAME, mode).objectStore(NAME);
};

const all = async () => {
  const databases = (await indexedDB.databases?.()) ?? [{ name: NAME }];
  if (!databases.some(({ name }) => name === NAME)) return [];
  return answered((await store("readonly")).getAll());
};

const own = async () => (await all()).filter((one) => one.account === account);
const remove = async (id) => answered((await store("readwrite")).delete(id));

/** Send it later; returns its number, which the events "picture-sent" and "picture-refused" have. address: of the page that adds
 * to the spot; spot: its name; fields: of its form.
 */
export const keep = async ({ address, spot, file, fields }) => {
  // Else the browser may delete them when the device runs full. Some ask the person first.
  navigator.storage?.persist?.().catch(() => {});
  const item = { account, address, spot, file, name: file.name, fields, since: Date.now() };
  const id = await answered((await store("readwrite")).add(item));
  await show();
  return id;
};

const show = async () => {
  const items = await own();
  note.hidden = !items.length && !part("done").childElementCount;
  part("list").replaceChildren(
    ...items.map((item) => {
      const row = part("row").content.firstElementChild.cloneNode(true);
      row.querySelector("[data-name]").textContent = item.name;
      row.querySelector("[data-spot]").textContent = item.spot;
      row.querySelector("[data-problem]").textContent = item.problem ?? "";
      row.querySelector("button").addEventListener("click", async () => {
        if (!confirm(`Delete ${item.name}? It is not in your record, and may be on this device alone.`)) return;
        await remove(item.id);
        await show();
      });
      return row;
    }),
  );
  const refused = items.filter(({ problem }) => problem).length;
  const left = items.length - refused;
  const words = [];
  if (left) {
    const what =
      left === 1
        ? "1 picture waits on this device. It is sent"
        : `${left} pictures wait on this device. They are sent`;
    words.push(`${what} when there is a connection and a page of this site is open.`);
  }
  if (refused === 1) words.push("1 picture was not accepted and is on this device alone.");
  if (refused > 1) words.push(`${refused} pictures were not accepted and are on this device alone.`);
  if (items.length && stopped) words.push(stopped);
  const told = words.join(" ");
  if (part("words").textContent !== told) part("words").textContent = told; // announced once
  part("send").hidden = !items.length;
};

/** The token of the session; else the problem of this picture, or what stops all of them. */
const asked = async (address) => {
  const answer = await fetch(address, {
    headers: { Accept: "text/html" },
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE.page),
  });
  if (answer.redirected || answer.status === 401) return { stop: CHANGED };
  if (answer.status === 403 || answer.status === 404) {
    return { problem: "The spot is not there any more, or you may not add to it." };
  }
  if (!answer.ok) return { stop: BUSY };
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const isOurs = page.querySelector("[data-waiting]")?.dataset.account === account;
  const token = page.querySelector('[data-upload] [name="csrfmiddlewaretoken"]')?.value;
  return isOurs && token ? { token } : { stop: CHANGED };
};

/** What stops all of them; empty to go on with the next one. */
const send = async (item) => {
  const { token, problem, stop } = await asked(item.address);
  if (stop) return stop;
  if (problem) return refuse(item, problem);
  const data = new FormData();
  // A log-in in between makes the token invalid: nothing is sent under another account.
  data.append("csrfmiddlewaretoken", token);
  for (const [name, value] of Object.entries(item.fields)) data.append(name, value);
  data.append("file", item.file, item.name);
  const sent = await fetch(item.address, {
    method: "POST",
    headers: { Accept: "application/json" },
    body: data,
    signal: AbortSignal.timeout(PATIENCE.picture),
  });
  if (sent.redirected || sent.status === 401 || sent.status === 403) return CHANGED;
  if (sent.status === 429 || sent.status >= 500) return BUSY;
  const answer = await sent.json().catch(() => ({}));
  const result = answer.results?.[0];
  if (!result?.url) {
    const words = result?.message ?? answer.errors?.join(" ") ?? "The picture was not added.";
    return refuse(item, words);
  }
  await remove(item.id);
  const link = document.createElement("a");
  link.href = result.url;
  link.textContent = result.is_new ? `${item.spot}: sent. Open the result` : `${item.spot}: ${result.message}`;
  const line = document.createElement("li");
  line.append(link);
  part("done").append(line);
  document.dispatchEvent(new CustomEvent("picture-sent", { detail: { id: item.id, result } }));
  return "";
};

const refuse = async (item, problem) => {
  await answered((await store("readwrite")).put({ ...item, problem }));
  document.dispatchEvent(new CustomEvent("picture-refused", { detail: { id: item.id, problem } }));
  return "";
};

// One page at a time, or a picture would be sent twice.
const sendAll = ({ byHand = false } = {}) =>
  navigator.locks.request(NAME, async () => {
    let stop = "";
    try {
      for (const item of await own()) {
        if (byHand || !item.problem) stop = await send(item);
        if (stop) break;
      }
    } catch (error) {
      if (!(error instanceof TypeError) && error.name !== "TimeoutError") throw error;
      stop = NO_CONNECTION; // or one that says nothing
    }
    if (byHand || !stop) stopped = stop;
    await show();
  });

const forgetOld = async () => {
  const before = Date.now() - DAYS * 24 * 3600 * 1000;
  for (const one of await all()) {
    if (one.account !== account && one.since < before) await remove(one.id);
  }
};

const sendLater = async () => {
  if ((await own()).some((one) => !one.problem)) await sendAll();
};

part("send").addEventListener("click", () => sendAll({ byHand: true }));
window.addEventListener("online", sendLater);
setInterval(sendLater, AGAIN);
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (new URL(form.action).pathname !== logOut || "cleared" in form.dataset) return;
  event.preventDefault();
  const items = await own().catch(() => []); // a browser that keeps nothing logs out all the same
  const lost =
    items.length === 1
      ? "1 picture on this device is not sent yet. Logging out deletes it. Log out?"
      : `${items.length} pictures on this device are not sent yet. Logging out deletes them. Log out?`;
  if (items.length && !confirm(lost)) return;
  for (const { id } of items) await remove(id).catch(() => {});
  form.dataset.cleared = "";
  form.requestSubmit();
});
// In a browser that keeps nothing there is nothing to send.
await forgetOld().then(show).then(sendLater).catch(() => {});
