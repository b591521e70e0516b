// Points over a picture, moved by mouse, touch or keys: a lesion's outline, or two marks of a ruler.
for (const form of document.querySelectorAll("[data-outline-editor], [data-ruler-editor]")) {
  const svg = form.querySelector("[data-canvas]");
  const field = form.querySelector("[data-points]");
  const closed = "outlineEditor" in form.dataset;
  const { width, height } = svg.viewBox.baseVal;
  const namespace = "http://www.w3.org/2000/svg";
  const least = closed ? 3 : 2;
  let points = [];
  let chosen = 0;

  const make = (name, parent, attributes) => {
    const made = document.createElementNS(namespace, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };

  const read = (text) => {
    points = text
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map((pair) => pair.split(",").map(Number));
    if (points.length < least) {
      points = [...Array(12).keys()].map((n) => {
        const angle = (n * Math.PI) / 6;
        return [0.5 + 0.2 * Math.cos(angle), 0.5 + (0.2 * Math.sin(angle) * width) / height];
      });
    }
    chosen = Math.min(chosen, points.length - 1);
  };

  // Touch targets of constant size, whatever the picture's size on the screen.
  const unit = () => width / (svg.getBoundingClientRect().width || width);

  const line = () => points.map(([x, y]) => `${x * width},${y * height}`).join(" ");

  const draw = (focus = false) => {
    svg.replaceChildren();
    const shape = closed ? "polygon" : "polyline";
    for (const name of ["editor-edge", "editor-line"]) make(shape, svg, { class: name, points: line() });
    points.forEach(([x, y], n) => {
      const point = make("g", svg, {
        class: n === chosen ? "editor-point chosen" : "editor-point",
        tabindex: 0,
        role: "button",
        "aria-label": `Point ${n + 1} of ${points.length}, ${Math.round(x * 100)} % across, ${Math.round(y * 100)} % down`,
        "data-n": n,
        transform: `translate(${x * width} ${y * height})`,
      });
      make("circle", point, { class: "reach", r: 18 * unit() });
      make("circle", point, { class: "dot", r: 7 * unit() });
    });
    field.value = points.map((pair) => pair.map((value) => value.toFixed(5)).join(",")).join(" ");
    if (focus) svg.querySelector(`[data-n='${chosen}']`).focus();
  };

  const move = (n, x, y) => {
    points[n] = [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))];
  };

  const add = () => {
    const next = points[(chosen + 1) % points.length];
    const [x, y] = points[chosen];
    points.splice(chosen + 1, 0, [(x + next[0]) / 2, (y + next[1]) / 2]);
    chosen += 1;
    draw(true);
  };

  const remove = () => {
    if (points.length <= least) return;
    points.splice(chosen, 1);
    chosen = Math.min(chosen, points.length - 1);
    draw(true);
  };

  let dragged = null;
  svg.addEventListener("pointerdown", (event) => {
    const point = event.target.closest("[data-n]");
    if (!point) return;
    event.preventDefault();
    chosen = dragged = Number(point.dataset.n);
    svg.setPointerCapture(event.pointerId);
    draw(true);
  });
  svg.addEventListener("pointermove", (event) => {
    if (dragged === null) return;
    const box = svg.getBoundingClientRect();
    move(dragged, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, () => {
      dragged = null;
      draw(true);
    });
  }
  svg.addEventListener("focusin", (event) => {
    const point = event.target.closest("[data-n]");
    if (!point) return;
    chosen = Number(point.dataset.n);
    for (const one of svg.querySelectorAll("[data-n]")) one.classList.toggle("chosen", one === point);
  });
  svg.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 10 : 1) / width;
    const ways = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    if (event.key in ways) {
      const [dx, dy] = ways[event.key];
      const [x, y] = points[chosen];
      move(chosen, x + dx * step, y + (dy * step * width) / height);
      draw(true);
    } else if (closed && event.key === "+") add();
    else if (closed && ["Delete", "Backspace", "-"].includes(event.key)) remove();
    else return;
    event.preventDefault();
  });
  form.querySelector("[data-add]")?.addEventListener("click", add);
  form.querySelector("[data-remove]")?.addEventListener("click", remove);
  form.querySelector("[data-reset]")?.addEventListener("click", (event) => {
    read(event.target.dataset.reset);
    draw();
  });
  addEventListener("resize", () => draw());
  read(field.value);
  draw();
}
