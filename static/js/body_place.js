// Choose a point on the body map: by mouse or touch, by a crosshair moved with the arrow keys, or by
// a region from the list. In a form it fills the form; elsewhere it opens the form for a new lesion.
for (const svg of document.querySelectorAll("[data-map][data-chooses]")) {
  const map = svg.closest("[data-body-map]");
  const form = svg.closest("form");
  const said = map.querySelector("[data-said]");
  const addHere = map.querySelector("[data-add-here]");
  const aim = svg.querySelector("[data-aim]");
  const pin = svg.querySelector("[data-pin]");
  const figures = [...svg.querySelectorAll("[data-figure]")].map((group) => ({
    view: group.dataset.figure,
    offset: Number(group.dataset.offset),
    skin: group.querySelector("[data-skin]"),
    // The last one drawn is on top.
    regions: [...group.querySelectorAll("[data-region]")].reverse(),
  }));
  const width = figures[1].offset;
  const height = 2 * width;
  const reach = 14; // tolerance around the body, in pixels
  let at = { x: width / 2, y: height / 3 };
  let chosen = null;
  let followed = null; // the body site that the map filled in

  const figureAt = (x) => figures[x < width ? 0 : 1];

  const regionAt = ({ x, y }) => {
    const figure = figureAt(x);
    const point = new DOMPoint(x - figure.offset, y);
    if (!figure.skin.isPointInFill(point)) return null;
    return figure.regions.find((region) => region.isPointInFill(point)) ?? null;
  };

  // As body_map.regions.side_at: unpaired regions have a left and a right half too, the person's own.
  const labelAt = (region, { x }) => {
    const { label, whole } = region.dataset;
    const figure = figureAt(x);
    const beside = x - figure.offset - width / 2;
    if (whole === undefined || Math.abs(beside) <= 3) return label;
    const side = beside > 0 === (figure.view === "front") ? "Left" : "Right";
    return `${side} ${label[0].toLowerCase()}${label.slice(1)}`;
  };

  const onBody = (point) => {
    const unit = svg.viewBox.baseVal.width / (svg.clientWidth || width);
    for (let away = 0; away <= reach * unit; away += Math.max(0.5, unit)) {
      for (let turn = 0; turn < (away ? 16 : 1); turn += 1) {
        const angle = (turn * Math.PI) / 8;
        const near = { x: point.x + away * Math.cos(angle), y: point.y + away * Math.sin(angle) };
        if (regionAt(near)) return near;
      }
    }
    return null;
  };

  const move = (mark, { x, y }) => {
    mark.removeAttribute("hidden");
    mark.setAttribute("transform", `translate(${x} ${y})`);
  };

  const shade = (region) => {
    for (const one of svg.querySelectorAll(".is-aimed")) one.classList.remove("is-aimed");
    region?.classList.add("is-aimed");
  };

  const fill = (point, region) => {
    const figure = figureAt(point.x);
    const fields = {
      view: figure.view,
      x: ((point.x - figure.offset) / width).toFixed(4),
      y: (point.y / height).toFixed(4),
    };
    if (addHere) {
      addHere.href = `${addHere.dataset.addHere}?${new URLSearchParams(fields)}`;
      addHere.hidden = false;
    }
    if (!form) return;
    for (const [name, value] of Object.entries(fields)) form.elements[name].value = value;
    form.elements.region.value = region.dataset.region;
    const site = form.elements.body_site;
    if (site && ["", followed].includes(site.value)) {
      site.value = region.dataset.site;
      followed = region.dataset.site;
    }
  };

  const choose = (point) => {
    const found = onBody(point);
    if (!found) {
      said.textContent = "That is beside the body. Choose a point on it.";
      return;
    }
    const region = regionAt(found);
    at = chosen = found;
    move(pin, found);
    aim.setAttribute("hidden", "");
    shade(region);
    fill(found, region);
    const label = labelAt(region, found);
    said.textContent = addHere ? `${label}.` : `Chosen: ${label}.`;
  };

  svg.addEventListener("click", (event) => {
    if (event.target.closest("a")) return;
    const seen = new DOMPoint(event.clientX, event.clientY);
    choose(seen.matrixTransform(svg.getScreenCTM().inverse()));
  });

  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  svg.addEventListener("keydown", (event) => {
    if (event.target !== svg || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ways) {
      const [dx, dy] = ways[event.key];
      const zoomed = svg.viewBox.baseVal.width / (2 * width);
      const step = (event.shiftKey ? 20 : 4) * zoomed;
      at = {
        x: Math.max(0, Math.min(2 * width - 1, at.x + dx * step)),
        y: Math.max(0, Math.min(height, at.y + dy * step)),
      };
      move(aim, at);
      svg.dispatchEvent(new CustomEvent("reveal", { detail: at }));
      const region = regionAt(at);
      shade(region);
      said.textContent = region ? labelAt(region, at) : "Beside the body";
    } else if (event.key === "Enter" || event.key === " ") {
      const again = addHere && chosen && chosen.x === at.x && chosen.y === at.y;
      if (again) addHere.click();
      else choose(at);
    } else return;
    event.preventDefault();
  });
  svg.addEventListener("focus", () => {
    if (svg.matches(":focus-visible") && !chosen) move(aim, at);
  });
  svg.addEventListener("blur", () => aim.setAttribute("hidden", ""));

  form?.elements.region.addEventListener("change", (event) => {
    const region = svg.querySelector(`[data-region="${event.target.value}"]`);
    if (region) {
      const { offset } = figures.find((figure) => figure.regions.includes(region));
      choose({ x: offset + Number(region.dataset.x), y: Number(region.dataset.y) });
      return;
    }
    for (const name of ["view", "x", "y"]) form.elements[name].value = "";
    pin.setAttribute("hidden", "");
    shade(null);
    chosen = null;
    said.textContent = "Nothing is chosen.";
  });

  if (form?.elements.x.value) {
    const { offset } = figures.find((figure) => figure.view === form.elements.view.value) ?? figures[0];
    followed = form.elements.body_site?.value;
    choose({ x: offset + form.elements.x.value * width, y: form.elements.y.value * height });
  }
}
