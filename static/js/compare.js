// Two pictures of a lesion, aligned and with matched light: slider, blink and difference.
// Without this script, or if they could not be aligned, they are shown side by side as taken.
(() => {
  const root = document.querySelector("[data-compare]");
  const data = document.getElementById("compare-matrix");
  const MOST = { screen: 1200, whole: 2400 }; // pixels of a canvas' longer side
  const DARKEST = 60; // a difference of this many of 255 levels is drawn black
  const LEAST_SKIN = 0.05; // share of the area that both pictures show

  const press = (button, on) => button.setAttribute("aria-pressed", on);
  const outlines = root.querySelector("[data-switch='outlines']");
  outlines.addEventListener("click", () => {
    const on = outlines.getAttribute("aria-pressed") !== "true";
    press(outlines, on);
    root.dataset.outlines = on ? "on" : "off";
  });
  if (!data) return;

  const matrix = JSON.parse(data.textContent);
  const pictures = Object.fromEntries(
    ["earlier", "later"].map((name) => [name, root.querySelector(`[data-picture='${name}']`)]),
  );

  const canvas = (width, height) => Object.assign(document.createElement("canvas"), { width, height });

  // The area that both pictures show, and the part of it outside the lesion. Light is matched there,
  // so that a darkened lesion stays dark. With too little skin, all of the area is used.
  const around = (moved, lesions) => {
    const shared = [];
    const skin = [];
    for (let i = 3; i < moved.data.length; i += 4) {
      if (moved.data[i] < 255) continue;
      shared.push(i - 3);
      if (!lesions.data[i]) skin.push(i - 3);
    }
    return skin.length < LEAST_SKIN * shared.length ? shared : skin;
  };

  const median = (data, places, channel) => {
    const counts = new Uint32Array(256);
    for (const i of places) counts[data[i + channel]] += 1;
    let level = 0;
    for (let seen = counts[0]; seen < places.length / 2; seen += counts[level]) level += 1;
    return level;
  };

  // As ml.lesion.register.match_light: one gain per channel.
  const inOneLight = (moved, fixed, lesions) => {
    const places = around(moved, lesions);
    const gains = [0, 1, 2].map((channel) => {
      const own = Math.max(1, median(moved.data, places, channel));
      return Math.min(2, Math.max(0.5, median(fixed.data, places, channel) / own));
    });
    const matched = new ImageData(new Uint8ClampedArray(moved.data), moved.width, moved.height);
    for (let i = 0; i < matched.data.length; i += 4) {
      for (let c = 0; c < 3; c += 1) matched.data[i + c] = moved.data[i + c] * gains[c];
    }
    return matched;
  };

  const apart = (one, other) => {
    const drawn = new ImageData(one.width, one.height);
    for (let i = 0; i < drawn.data.length; i += 4) {
      const far =
        (Math.abs(one.data[i] - other.data[i]) +
          Math.abs(one.data[i + 1] - other.data[i + 1]) +
          Math.abs(one.data[i + 2] - other.data[i + 2])) /
        3;
      const level = 255 * (1 - Math.min(1, far / DARKEST));
      drawn.data.set([level, level, level, other.data[i + 3] < 255 ? 0 : 255], i);
    }
    return drawn;
  };

  // As they are stored: the matrix is in these pixels, whatever rendition is shown.
  const stored = (picture) => ["width", "height"].map((side) => Number(picture.getAttribute(side)));

  // most: pixels of the longer side.
  const drawn = (most) => {
    const { earlier, later } = pictures;
    const [wide, high] = stored(earlier);
    const size = Math.min(1, most / Math.max(wide, high));
    const width = Math.round(wide * size);
    const height = Math.round(high * size);
    const read = (draw) => {
      const context = canvas(width, height).getContext("2d", { willReadFrequently: true });
      draw(context);
      return context.getImageData(0, 0, width, height);
    };
    const fixed = read((context) => context.drawImage(earlier, 0, 0, width, height));
    const moved = read((context) => {
      context.setTransform(...matrix.map((value) => value * size));
      context.drawImage(later, 0, 0, ...stored(later));
    });
    const lesions = read((context) => {
      const fill = (picture, name) => {
        const [across, down] = stored(picture);
        const corners = root.querySelector(`[data-outline='${name}'] .outline-line`)?.points ?? [];
        context.beginPath();
        for (const { x, y } of corners) {
          context.lineTo(x * across, y * down);
        }
        context.fill();
      };
      context.setTransform(size, 0, 0, size, 0, 0);
      fill(earlier, "earlier");
      context.setTransform(...matrix.map((value) => value * size));
      fill(later, "later");
    });
    return { fixed, plain: moved, matched: inOneLight(moved, fixed, lesions) };
  };

  const start = () => {
    const { earlier, later } = pictures;
    let drawings = drawn(MOST.screen);
    const view = { light: true, name: "side" };

    const add = (side, attributes) => {
      const layers = root.querySelector(`[data-side='${side}'] [data-layers]`);
      const made = canvas(drawings.fixed.width, drawings.fixed.height);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      layers.querySelector("img").after(made);
      return made;
    };
    const top = add("earlier", { "data-top": "", "aria-hidden": "true" });
    const beside = add("later", { role: "img", "aria-label": later.alt });
    later.hidden = true;
    // Its outline moves with it into the earlier picture's frame, and is drawn on that one too.
    const line = root.querySelector("[data-outline='later']");
    if (line) {
      line.setAttribute("viewBox", `0 0 ${stored(earlier).join(" ")}`);
      line.querySelector("[data-moved]").setAttribute("transform", `matrix(${matrix.join(" ")})`);
      const copy = line.cloneNode(true);
      copy.dataset.top = "";
      root.querySelector("[data-side='earlier'] [data-layers]").append(copy);
    }

    const paint = () => {
      const shown = view.light ? drawings.matched : drawings.plain;
      beside.getContext("2d").putImageData(shown, 0, 0);
      const over = view.name === "difference" ? apart(drawings.fixed, shown) : shown;
      top.getContext("2d").putImageData(over, 0, 0);
    };

    const cut = root.querySelector("[data-cut]");
    const rate = root.querySelector("[data-rate]");
    const button = root.querySelector("[data-blink]");
    const told = root.querySelector("[data-blinked]");
    let blinking = 0;
    const turn = (later) => {
      top.hidden = !later;
      root.querySelector("svg[data-top]")?.toggleAttribute("hidden", !later);
      told.textContent = later ? "Later" : "Earlier";
    };
    const stop = () => {
      clearInterval(blinking);
      blinking = 0;
      button.textContent = "Start";
    };
    const blink = () => {
      clearInterval(blinking);
      blinking = setInterval(() => turn(top.hidden), 1000 / Number(rate.value));
      button.textContent = "Stop";
    };
    // It never starts automatically; a click or a key shows one picture at a time.
    button.addEventListener("click", () => {
      if (blinking) stop();
      else if (matchMedia("(prefers-reduced-motion: reduce)").matches) turn(top.hidden);
      else blink();
    });
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      button.textContent = "Other picture";
      rate.closest("label").hidden = true;
    }
    rate.addEventListener("input", () => blinking && blink());

    const divide = () => {
      top.style.clipPath = view.name === "slider" ? `inset(0 0 0 ${100 - cut.value}%)` : "";
      root.style.setProperty("--cut", `${100 - cut.value}%`);
    };
    cut.addEventListener("input", divide);
    // The line follows touch or mouse, unless they pan a zoomed picture.
    const stage = top.closest(".stage");
    const drag = (event) => {
      if (view.name !== "slider" || stage.classList.contains("zoomed") || !event.buttons) return;
      const box = stage.getBoundingClientRect();
      cut.value = 100 - (100 * (event.clientX - box.left)) / box.width;
      divide();
    };
    stage.addEventListener("pointerdown", drag);
    stage.addEventListener("pointermove", drag);

    const show = (name) => {
      if (blinking) stop();
      view.name = name;
      root.dataset.view = name;
      turn(name !== "blink");
      paint();
      divide();
      for (const one of root.querySelectorAll("[data-show]")) press(one, one.dataset.show === name);
    };
    for (const one of root.querySelectorAll("[data-show]")) {
      one.addEventListener("click", () => show(one.dataset.show));
    }
    const sameLight = root.querySelector("[data-switch='light']");
    sameLight.addEventListener("click", () => {
      view.light = !view.light;
      press(sameLight, view.light);
      paint();
    });
    // Zoomed: both pictures have come whole.
    let left = root.querySelectorAll("[data-whole]").length;
    root.addEventListener("whole", () => {
      left -= 1;
      if (left) return;
      drawings = drawn(MOST.whole);
      for (const one of [top, beside]) {
        Object.assign(one, { width: drawings.fixed.width, height: drawings.fixed.height });
      }
      paint();
    });
    show("side");
    root.dataset.ready = "";
  };

  Promise.all(Object.values(pictures).map((picture) => picture.decode())).then(start, () => {});
})();
