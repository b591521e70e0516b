// Draws the lesion's outline and the evidence for a diagnosis over the picture. They come with the
// reading, which may arrive after the page.
(() => {
  const HUE = [94, 234, 212];
  const DENSEST = 0.75; // of 1: the picture always shows through
  const FINER = 24; // so that the browser smooths once, well, and not at every zoom
  let panel = null;

  const paint = ({ columns, rows }, levels) => {
    const cells = new OffscreenCanvas(columns, rows);
    const pixels = new ImageData(columns, rows);
    levels.forEach((level, n) => pixels.data.set([...HUE, level * DENSEST], n * 4));
    cells.getContext("2d").putImageData(pixels, 0, 0);
    const canvas = document.createElement("canvas");
    canvas.width = columns * FINER;
    canvas.height = rows * FINER;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(cells, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL();
  };

  const mount = () => {
    const found = document.getElementById("overlays");
    if (found === panel) return;
    panel = found;
    const layers = document.querySelector("[data-layers]");
    layers.querySelector("[data-drawing]")?.remove();
    const drawing = panel.querySelector("[data-drawing]");
    if (!drawing) return;
    layers.append(drawing);

    const grid = JSON.parse(document.getElementById("evidence-grid").textContent);
    const picture = drawing.querySelector("[data-overlay='evidence']");
    const choice = panel.querySelector("[data-evidence-of]");
    const explained = panel.querySelector("#evidence");
    const choose = () => {
      picture.setAttribute("href", paint(grid, grid.levels[choice.value]));
      panel.querySelector("[data-evidence-words]").textContent = grid.words[choice.value];
    };
    const show = (button, on) => {
      button.setAttribute("aria-pressed", on);
      const name = button.dataset.switch;
      drawing.querySelector(`[data-overlay='${name}']`).classList.toggle("off", !on);
      if (name === "evidence") explained.hidden = !on;
    };
    for (const button of panel.querySelectorAll("[data-switch]")) {
      show(button, button.getAttribute("aria-pressed") === "true");
      button.addEventListener("click", () => {
        show(button, button.getAttribute("aria-pressed") !== "true");
      });
    }
    choice.addEventListener("change", choose);
    panel.querySelector("[data-fade]").addEventListener("input", (event) => {
      drawing.style.opacity = event.target.value / 100;
    });
    choose();
  };

  mount();
  document.addEventListener("htmx:afterSettle", mount);
})();
