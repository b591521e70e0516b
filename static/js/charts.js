// Draws every [data-chart] from the figure in its <script type="application/json">. Figures name
// colours as CSS variables, so that one figure serves both themes. Plotly is loaded with the first
// chart that is visible: most pages fold theirs away.
(() => {
  const { plotly } = document.currentScript.dataset;
  let loading;
  const loaded = () =>
    (loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = plotly;
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => {
        loading = undefined; // the next chart that is opened tries again
        script.remove();
        reject(new Error("The charts' script could not be loaded."));
      });
      document.head.append(script);
    }));
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const coloured = (value, style) => {
    if (typeof value === "string") {
      return value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
    }
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, coloured(item, style)]),
      );
    }
    return value;
  };

  const draw = async () => {
    // What is folded away is drawn when it is opened.
    const isSeen = (place) => place.checkVisibility();
    if (![...document.querySelectorAll("[data-chart]")].some(isSeen)) return;
    await loaded();
    const style = getComputedStyle(document.documentElement);
    for (const place of [...document.querySelectorAll("[data-chart]")].filter(isSeen)) {
      const source = document.getElementById(place.dataset.chart);
      const figure = coloured(JSON.parse(source.textContent), style);
      place.style.height = place.style.minHeight = `${figure.layout.height}px`;
      if (still.matches) figure.layout.transition = { duration: 0 };
      Plotly.react(place, figure.data, figure.layout, {
        responsive: true,
        // Axes are fixed: the mode bar's buttons would do nothing, but take keyboard focus.
        displayModeBar: false,
      });
    }
  };
  draw();
  document.addEventListener("themechange", draw);
  document.addEventListener("htmx:afterSettle", draw);
  document.addEventListener("toggle", ({ target }) => target.querySelector("[data-chart]") && draw(), true);
})();
