// Zoom and pan pictures: wheel, pinch, buttons, double tap, keys. The stages of one viewer move
// together. Without this script the whole pictures are shown.
for (const viewer of document.querySelectorAll("[data-viewer]")) {
  const stages = [...viewer.querySelectorAll(".stage")];
  const shown = viewer.querySelector("[data-scale]");
  const most = 12;
  const fingers = new Map();
  let scale = 1;
  let x = 0;
  let y = 0;
  let lastTap = 0;

  // Large pictures come in the size of a screen. The first zoom fetches them whole.
  let sharpen = () => {
    sharpen = () => {};
    for (const picture of viewer.querySelectorAll("[data-whole]")) {
      const whole = new Image();
      whole.src = picture.dataset.whole;
      whole.decode().then(
        () => {
          picture.src = whole.src;
          picture.dispatchEvent(new Event("whole", { bubbles: true }));
        },
        () => {}, // the smaller one stays
      );
    }
  };

  const draw = () => {
    const roomX = (stages[0].clientWidth * (scale - 1)) / 2;
    const roomY = (stages[0].clientHeight * (scale - 1)) / 2;
    x = Math.max(-roomX, Math.min(roomX, x));
    y = Math.max(-roomY, Math.min(roomY, y));
    for (const stage of stages) {
      const layers = stage.querySelector("[data-layers]");
      layers.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      // Lines over the picture keep their width.
      layers.style.setProperty("--scale", scale);
      stage.classList.toggle("zoomed", scale > 1);
    }
    shown.textContent = `${Math.round(scale * 100)} %`;
    if (scale > 1) sharpen();
    viewer.dispatchEvent(new Event("zoomed", { bubbles: true }));
  };

  // The point under the pointer stays where it is. clientX, clientY: of that point.
  const zoom = (factor, clientX, clientY, stage = stages[0]) => {
    const box = stage.getBoundingClientRect();
    const px = (clientX ?? box.left + box.width / 2) - box.left - box.width / 2;
    const py = (clientY ?? box.top + box.height / 2) - box.top - box.height / 2;
    const next = Math.max(1, Math.min(most, scale * factor));
    x = px - ((px - x) * next) / scale;
    y = py - ((py - y) * next) / scale;
    scale = next;
    draw();
  };

  const whole = () => {
    scale = 1;
    draw();
  };

  const spread = () => {
    const [a, b] = [...fingers.values()];
    return {
      width: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
      x: (a.clientX + b.clientX) / 2,
      y: (a.clientY + b.clientY) / 2,
    };
  };

  const step = 60;
  const keys = {
    "+": () => zoom(1.4),
    "=": () => zoom(1.4),
    "-": () => zoom(1 / 1.4),
    0: whole,
    ArrowLeft: () => (x += step),
    ArrowRight: () => (x -= step),
    ArrowUp: () => (y += step),
    ArrowDown: () => (y -= step),
  };

  for (const stage of stages) {
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY, stage);
      },
      { passive: false },
    );
    stage.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, event);
      stage.setPointerCapture(event.pointerId);
      if (fingers.size !== 1 || "held" in stage.dataset) return;
      if (event.timeStamp - lastTap < 300) {
        if (scale > 1) whole();
        else zoom(3, event.clientX, event.clientY, stage);
        lastTap = 0;
      } else {
        lastTap = event.timeStamp;
      }
    });
    stage.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      if (fingers.size === 2) {
        const old = spread();
        fingers.set(event.pointerId, event);
        const now = spread();
        x += now.x - old.x;
        y += now.y - old.y;
        zoom(now.width / old.width, now.x, now.y, stage);
        return;
      }
      fingers.set(event.pointerId, event);
      if ("held" in stage.dataset) return; // it draws, see points.js
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      draw();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
    }
    stage.addEventListener(
      "touchstart",
      (event) => {
        // Two fingers zoom the picture, not the page.
        if (event.touches.length > 1) event.preventDefault();
      },
      { passive: false },
    );
    stage.addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key.startsWith("Arrow") && scale === 1) return;
      event.preventDefault();
      act();
      draw();
    });
  }
  viewer.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) ({ in: () => zoom(1.4), out: () => zoom(1 / 1.4), whole })[button.dataset.zoom]();
  });
}
