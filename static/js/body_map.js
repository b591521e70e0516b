// The body map: zoom and pan by buttons, touch, wheel and keys. A point and its line in the list
// highlight each other.
for (const map of document.querySelectorAll("[data-body-map]")) {
  const svg = map.querySelector("[data-map]");
  const { width, height } = svg.viewBox.baseVal;
  const most = 8;
  const slack = 6; // pixels that a finger may move during a tap
  const fingers = new Map();
  let scale = 1;
  let x = 0;
  let y = 0;
  let wandered = false;

  // Map units per pixel.
  const unit = () => width / scale / (svg.clientWidth || width);

  const draw = () => {
    x = Math.max(0, Math.min(width - width / scale, x));
    y = Math.max(0, Math.min(height - height / scale, y));
    svg.setAttribute("viewBox", `${x} ${y} ${width / scale} ${height / scale}`);
    svg.style.setProperty("--mark", unit());
    svg.classList.toggle("zoomed", scale > 1);
  };

  // The place under the pointer stays where it is. clientX, clientY: of that place.
  const zoom = (factor, clientX, clientY) => {
    const box = svg.getBoundingClientRect();
    const across = ((clientX ?? box.left + box.width / 2) - box.left) / box.width;
    const down = ((clientY ?? box.top + box.height / 2) - box.top) / box.height;
    const next = Math.max(1, Math.min(most, scale * factor));
    x += across * (width / scale - width / next);
    y += down * (height / scale - height / next);
    scale = next;
    draw();
  };

  // Scroll a place into view: after a key moved the crosshair there, or for a line of the list.
  svg.addEventListener("reveal", ({ detail }) => {
    const edge = 24 * unit();
    const [w, h] = [width / scale, height / scale];
    x = Math.min(detail.x - edge, Math.max(detail.x + edge - w, x));
    y = Math.min(detail.y - edge, Math.max(detail.y + edge - h, y));
    draw();
  });

  const spread = () => {
    const [a, b] = [...fingers.values()];
    return {
      width: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
      x: (a.clientX + b.clientX) / 2,
      y: (a.clientY + b.clientY) / 2,
    };
  };

  const pan = (dx, dy) => {
    x -= dx * unit();
    y -= dy * unit();
    draw();
  };

  let start = null;
  svg.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    if (fingers.size === 1) {
      start = event;
      wandered = false;
    }
  });
  svg.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    if (fingers.size === 2) {
      const old = spread();
      fingers.set(event.pointerId, event);
      const now = spread();
      wandered = true;
      pan(now.x - old.x, now.y - old.y);
      zoom(now.width / old.width, now.x, now.y);
      return;
    }
    const away = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY);
    if (scale === 1 || (!wandered && away < slack)) return;
    if (!wandered) svg.setPointerCapture(event.pointerId);
    wandered = true;
    fingers.set(event.pointerId, event);
    pan(event.clientX - before.clientX, event.clientY - before.clientY);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    svg.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  // Panning selects nothing.
  svg.addEventListener(
    "click",
    (event) => {
      if (!wandered) return;
      wandered = false;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
  svg.addEventListener("dragstart", (event) => event.preventDefault());
  svg.addEventListener(
    "touchstart",
    (event) => {
      // Two fingers zoom the map, not the page.
      if (event.touches.length > 1) event.preventDefault();
    },
    { passive: false },
  );
  svg.addEventListener(
    "wheel",
    (event) => {
      // The wheel alone scrolls the page.
      if (!event.ctrlKey && !event.metaKey && scale === 1) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
    },
    { passive: false },
  );

  const whole = () => zoom(0);
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: whole }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  map.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) ({ in: () => zoom(1.5), out: () => zoom(1 / 1.5), whole })[button.dataset.zoom]();
  });
  addEventListener("resize", draw);
  draw();
}

// A point and its line highlight each other on hover, focus and tap.
const ofLesion = (key) => document.querySelectorAll(`[data-lesion="${key}"]`);
let tapped = null;

const show = (key, is) => {
  for (const one of ofLesion(key)) one.classList.toggle("is-shown", is || key === tapped);
};

for (const [begin, end] of [
  ["pointerover", "pointerout"],
  ["focusin", "focusout"],
]) {
  document.addEventListener(begin, (event) => {
    const one = event.target.closest?.("[data-lesion]");
    if (!one) return;
    show(one.dataset.lesion, true);
    // Raise it above its neighbours, but not a point under the pointer.
    const point = document.getElementById(`point-${one.dataset.lesion}`);
    if (point && point !== one) point.parentNode.append(point);
  });
  document.addEventListener(end, (event) => {
    const one = event.target.closest?.("[data-lesion]");
    if (one && !one.contains(event.relatedTarget)) show(one.dataset.lesion, false);
  });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-lesion] a[href^='#'], a[data-lesion][href^='#']");
  if (!link) return;
  const before = tapped;
  tapped = link.closest("[data-lesion]").dataset.lesion;
  if (before && before !== tapped) show(before, false);
  show(tapped, true);
  const point = document.getElementById(`point-${tapped}`);
  const place = point?.transform.baseVal.consolidate()?.matrix;
  if (place && link !== point) {
    const detail = { x: place.e, y: place.f };
    point.closest("[data-map]").dispatchEvent(new CustomEvent("reveal", { detail }));
  }
});
