// Points over a picture, moved by mouse, touch or keys: a lesion's outline, or two marks of a ruler.
// viewer.js zooms and moves the picture: with two fingers, the wheel or the buttons.
for (const form of document.querySelectorAll("[data-outline-editor], [data-ruler-editor]")) {
  const svg = form.querySelector("[data-canvas]");
  const stage = svg.closest(".stage");
  const picture = stage.querySelector("img");
  const lens = form.querySelector("[data-lens]");
  const field = form.querySelector("[data-points]");
  const count = form.querySelector("[data-count]");
  const freehand = form.querySelector("[data-freehand]");
  const back = form.querySelector("[data-undo]");
  const closed = "outlineEditor" in form.dataset;
  const { width, height } = svg.viewBox.baseVal;
  const namespace = "http://www.w3.org/2000/svg";
  const least = closed ? 3 : 2;
  const REACH = 36; // pixels of the screen: a point's target
  const APART = 28; // pixels of the screen between points that a finger can tell apart
  const STEP = 4; // pixels of the screen between the points of a line drawn by hand
  const SHORT = 8; // points of a dot or a dash
  const DRAWN = 24; // points that are kept of a longer one
  const LENS = { sees: 72, shows: 144 }; // pixels of the screen: it doubles
  const STEPS_BACK = 100;
  let points = [];
  let chosen = 0;
  let dragged = null;
  let stroke = null;
  const past = [];

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

  const written = (corners = points) =>
    corners.map((pair) => pair.map((value) => value.toFixed(5)).join(",")).join(" ");

  // Units of the drawing in a pixel of the screen: targets keep their size, however far it is zoomed.
  const unit = () => width / (svg.getBoundingClientRect().width || width);

  const line = (corners = points) => corners.map(([x, y]) => `${x * width},${y * height}`).join(" ");

  const draw = (focus = false) => {
    svg.replaceChildren();
    const shape = closed && !stroke ? "polygon" : "polyline";
    for (const name of ["editor-edge", "editor-line"]) {
      make(shape, svg, { class: name, points: line(stroke ?? points) });
    }
    if (stroke) return;
    points.forEach(([x, y], n) => {
      const point = make("g", svg, {
        class: n === chosen ? "editor-point chosen" : "editor-point",
        tabindex: 0,
        role: "button",
        "aria-label": `Point ${n + 1} of ${points.length}, ${Math.round(x * 100)} % across, ${Math.round(y * 100)} % down`,
        "data-n": n,
        transform: `translate(${x * width} ${y * height})`,
      });
      make("circle", point, { class: "reach", r: (REACH / 2) * unit() });
      make("circle", point, { class: "dot", r: 7 * unit() });
    });
    field.value = written();
    back.disabled = !past.length;
    if (count) count.textContent = `${points.length} points`;
    if (focus) svg.querySelector(`[data-n='${chosen}']`).focus({ preventScroll: true });
  };

  const remember = () => {
    past.push(points.map((point) => [...point]));
    if (past.length > STEPS_BACK) past.shift();
  };

  const undo = () => {
    if (!past.length) return;
    points = past.pop();
    chosen = Math.min(chosen, points.length - 1);
    draw();
  };

  const within = (value) => Math.min(1, Math.max(0, value));

  const move = (n, x, y) => {
    points[n] = [within(x), within(y)];
  };

  const add = () => {
    remember();
    const next = points[(chosen + 1) % points.length];
    const [x, y] = points[chosen];
    points.splice(chosen + 1, 0, [(x + next[0]) / 2, (y + next[1]) / 2]);
    chosen += 1;
    draw(true);
  };

  const remove = () => {
    if (points.length <= least) return;
    remember();
    points.splice(chosen, 1);
    chosen = Math.min(chosen, points.length - 1);
    draw(true);
  };

  // Visvalingam and Whyatt: the point whose triangle with its neighbours is smallest goes first, so the
  // enclosed area changes least.
  const thinned = (corners, most) => {
    const kept = [...corners];
    const area = (n) => {
      const [[a, b], [c, d], [e, f]] = [-1, 0, 1].map((by) => kept.at((n + by) % kept.length));
      return Math.abs((c - a) * (f - b) - (e - a) * (d - b));
    };
    while (kept.length > Math.max(most, least)) {
      const areas = kept.map((_, n) => area(n));
      kept.splice(areas.indexOf(Math.min(...areas)), 1);
    }
    return kept;
  };

  const fewer = (most) => {
    if (points.length <= Math.max(most, least)) return;
    remember();
    points = thinned(points, most);
    chosen = 0;
    draw();
  };

  // As many as a finger can tell apart on this screen.
  const touchable = () => {
    const around = points.reduce((sum, [x, y], n) => {
      const [u, v] = points[(n + 1) % points.length];
      return sum + Math.hypot((u - x) * width, (v - y) * height);
    }, 0);
    return Math.max(8, Math.floor(around / unit() / APART));
  };

  const place = (event) => {
    const box = svg.getBoundingClientRect();
    return [
      within((event.clientX - box.left) / box.width),
      within((event.clientY - box.top) / box.height),
    ];
  };

  // Targets overlap where points are close.
  const nearest = ([x, y]) => {
    const away = points.map(([u, v]) => Math.hypot((u - x) * width, (v - y) * height));
    return away.indexOf(Math.min(...away));
  };

  // What the finger covers, doubled, in the corner that is farther away.
  const magnify = (event, [x, y]) => {
    if (event.pointerType === "mouse") return;
    const dense = devicePixelRatio || 1;
    const side = LENS.shows * dense;
    if (lens.width !== side) lens.width = lens.height = side;
    const context = lens.getContext("2d");
    const seen = LENS.sees * unit(); // units of the drawing
    const to = (u, v) => [
      ((u - x) * width) / seen * side + side / 2,
      ((v - y) * height) / seen * side + side / 2,
    ];
    context.fillStyle = "#111";
    context.fillRect(0, 0, side, side);
    const [left, top] = to(0, 0);
    const [right, bottom] = to(1, 1);
    context.drawImage(picture, left, top, right - left, bottom - top);
    for (const [colour, wide] of [["rgb(17 17 17 / 70%)", 4], ["#fff", 2]]) {
      context.beginPath();
      for (const [u, v] of stroke ?? points) context.lineTo(...to(u, v));
      if (!stroke && closed) context.closePath();
      Object.assign(context, { strokeStyle: colour, lineWidth: wide * dense });
      context.stroke();
    }
    context.beginPath();
    context.arc(side / 2, side / 2, 4 * dense, 0, 2 * Math.PI);
    Object.assign(context, { strokeStyle: "#fbcf5d", lineWidth: 2 * dense });
    context.stroke();
    const box = stage.getBoundingClientRect();
    lens.classList.toggle("right", event.clientX - box.left < box.width / 2);
    lens.hidden = false;
  };

  const isFreehand = () => freehand?.getAttribute("aria-pressed") === "true";

  const setFreehand = (on) => {
    freehand.setAttribute("aria-pressed", on);
    stage.classList.toggle("drawing", on);
  };

  // The line becomes the outline: its ends are joined.
  const keepStroke = () => {
    const drawn = stroke;
    stroke = null;
    if (drawn.length < SHORT) return;
    remember();
    points = thinned(drawn, DRAWN);
    chosen = 0;
    setFreehand(false);
  };

  const release = () => {
    dragged = null;
    lens.hidden = true;
    delete stage.dataset.held;
  };

  const fingers = new Set();
  stage.addEventListener("pointerdown", (event) => {
    fingers.add(event.pointerId);
    if (fingers.size > 1) {
      // The second finger zooms: what the first began is taken back.
      if (dragged !== null) points = past.pop();
      stroke = null;
      release();
      draw();
      return;
    }
    if (isFreehand()) {
      stroke = [place(event)];
    } else if (event.target.closest("[data-n]")) {
      chosen = dragged = nearest(place(event));
      remember();
      draw(true);
      magnify(event, points[dragged]);
    } else return;
    event.preventDefault();
    stage.dataset.held = "";
  });
  stage.addEventListener("pointermove", (event) => {
    if (dragged !== null) {
      move(dragged, ...place(event));
      draw();
      magnify(event, points[dragged]);
    } else if (stroke) {
      const [x, y] = place(event);
      const [u, v] = stroke.at(-1);
      if (Math.hypot((x - u) * width, (y - v) * height) < STEP * unit()) return;
      stroke.push([x, y]);
      draw();
      magnify(event, [x, y]);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      const wasMoved = dragged !== null;
      if (wasMoved && written() === written(past.at(-1))) past.pop(); // only chosen
      if (stroke) keepStroke();
      else if (!wasMoved) return;
      release();
      draw(wasMoved);
    });
  }
  stage.addEventListener(
    "touchstart",
    (event) => {
      // A finger on a point moves it, not the page.
      if ("held" in stage.dataset) event.preventDefault();
    },
    { passive: false },
  );
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
      if (!event.repeat) remember();
      move(chosen, x + dx * step, y + (dy * step * width) / height);
      draw(true);
    } else if (closed && event.key === "+") add();
    else if (closed && ["Delete", "Backspace", "-"].includes(event.key)) remove();
    else return;
    event.preventDefault();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.target.matches("input")) return;
    event.preventDefault();
    undo();
  });
  form.querySelector("[data-add]")?.addEventListener("click", add);
  form.querySelector("[data-remove]")?.addEventListener("click", remove);
  form.querySelector("[data-fewer]")?.addEventListener("click", () => fewer(Math.ceil(points.length / 2)));
  freehand?.addEventListener("click", () => setFreehand(!isFreehand()));
  back.addEventListener("click", undo);
  for (const button of form.querySelectorAll("[data-reset]")) {
    button.addEventListener("click", () => {
      remember();
      read(button.dataset.reset);
      draw();
    });
  }
  addEventListener("resize", () => draw());
  form.addEventListener("zoomed", () => draw());
  read(field.value);
  draw();
  if (closed && matchMedia("(pointer: coarse)").matches) {
    const all = points.length;
    fewer(touchable());
    if (past.length) {
      count.textContent = `${points.length} of ${all} points, so that a finger can tell them apart. Undo brings back all of them.`;
    }
  }
}
