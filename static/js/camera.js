// The device's camera with the last picture laid over it, so that the new one shows the same frame.

const SHARP = 0.5; // of the sharpest so far
const SIDE = 160; // pixels: the middle that is judged
const OFTEN = 300; // ms
const LEVEL = 5; // degrees
const WANTED = {
  video: { facingMode: "environment", width: { ideal: 4096 }, height: { ideal: 3072 } },
};

export const canTakePictures = () => Boolean(navigator.mediaDevices?.getUserMedia);

/** How sharp the middle of the view is: the mean squared Laplacian of its grey values. */
const sharpness = (video, context) => {
  const side = Math.min(video.videoWidth, video.videoHeight) / 2;
  const [x, y] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
  context.drawImage(video, x, y, side, side, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const grey = (n) => (data[4 * n] + data[4 * n + 1] + data[4 * n + 2]) / 3;
  let sum = 0;
  for (let row = 1; row < SIDE - 1; row += 1) {
    for (let n = row * SIDE + 1; n < row * SIDE + SIDE - 1; n += 1) {
      sum += (grey(n - 1) + grey(n + 1) + grey(n - SIDE) + grey(n + SIDE) - 4 * grey(n)) ** 2;
    }
  }
  return sum;
};

/** Degrees from the nearest level position: flat, or upright. */
const tilt = ({ beta, gamma }) => {
  const off = (angle) => Math.abs(angle - 90 * Math.round(angle / 90));
  return Math.max(off(beta), off(gamma));
};

const named = (blob) => {
  const moment = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
  return new File([blob], `camera-${moment}.jpg`, { type: "image/jpeg" });
};

/** As the camera takes it where the browser can; else the view as it is. */
const taken = async (video, track) => {
  try {
    return await new ImageCapture(track).takePhoto();
  } catch {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  }
};

/** iOS tells the tilt only to who has asked for it while a click is handled. Without the permission
 * there is no word on the tilt, and all else works.
 */
const askForTilt = () => globalThis.DeviceOrientationEvent?.requestPermission?.().catch(() => {});

/** A File; null if the dialog is closed without one. Call it from a click. */
export const takePicture = async (dialog) => {
  askForTilt();
  const part = (name) => dialog.querySelector(`[data-${name}]`);
  const video = dialog.querySelector("video");
  const ghost = part("ghost");
  const ends = new AbortController();
  const on = (target, name, act) => target?.addEventListener(name, act, { signal: ends.signal });
  let file = null;
  let track = null;
  let angle = null;
  let best = 0;

  const closed = new Promise((resolve) => on(dialog, "close", resolve));
  const judged = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const context = judged.getContext("2d", { willReadFrequently: true });
  const hint = () => {
    if (!video.videoWidth) return;
    const now = sharpness(video, context);
    best = Math.max(best * 0.99, now);
    const words = [];
    if (now < SHARP * best) words.push("Not sharp: hold still, or move a little away.");
    if (angle !== null && angle > LEVEL) words.push(`Tilted by ${Math.round(angle)}°.`);
    const told = words.join(" ") || "Hold still.";
    if (part("hint").textContent !== told) part("hint").textContent = told;
  };

  on(window, "deviceorientation", (event) => {
    if (event.beta !== null) angle = tilt(event);
  });
  on(document, "visibilitychange", () => document.hidden && dialog.close());
  on(part("strength"), "input", ({ target }) => {
    ghost.style.opacity = target.value / 100;
  });
  on(part("shutter"), "click", async () => {
    file = named(await taken(video, track));
    dialog.close();
  });
  on(part("torch"), "click", async ({ currentTarget }) => {
    const lit = currentTarget.getAttribute("aria-pressed") !== "true";
    await track.applyConstraints({ advanced: [{ torch: lit }] });
    currentTarget.setAttribute("aria-pressed", lit);
  });
  for (const one of dialog.querySelectorAll("[data-close]")) on(one, "click", () => dialog.close());

  part("failed").hidden = true;
  part("view").hidden = false;
  part("torch").hidden = true;
  part("shutter").disabled = true;
  if (ghost) ghost.style.opacity = part("strength").value / 100;
  dialog.showModal();
  let timer = 0;
  try {
    const stream = await navigator.mediaDevices.getUserMedia(WANTED);
    [track] = stream.getVideoTracks();
    if (!dialog.open) throw new Error("closed meanwhile");
    video.srcObject = stream;
    await video.play();
    part("shutter").disabled = false;
    part("torch").hidden = !track.getCapabilities?.().torch;
    part("torch").setAttribute("aria-pressed", false);
    timer = setInterval(hint, OFTEN);
  } catch {
    part("failed").hidden = false;
    part("view").hidden = true;
  }
  if (dialog.open) await closed;
  clearInterval(timer);
  ends.abort();
  track?.stop();
  video.srcObject = null;
  return file;
};
