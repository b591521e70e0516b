// Single-key shortcuts for reviewing images. Each has an equivalent control on the page.
(() => {
  const STORED = "shortcuts";
  const dialog = document.getElementById("shortcuts");
  const form = document.querySelector("form[data-review]");
  const onSwitch = document.querySelector("[data-shortcuts-on]");
  let on = localStorage.getItem(STORED) !== "off";

  const isTyping = (element) =>
    element.matches("textarea, select, [contenteditable]") ||
    (element.matches("input") && !["radio", "checkbox", "button", "submit"].includes(element.type));

  const follow = (where) => {
    const link = document.querySelector(`[data-go="${where}"]`);
    if (link) link.click();
    return Boolean(link);
  };

  const choose = (key) => {
    const control = form && form.querySelector(`[data-key="${CSS.escape(key)}"]`);
    // Collapsed on the image's page until it is opened.
    if (!control || !control.checkVisibility()) return false;
    if (control.type === "checkbox") control.checked = !control.checked;
    else control.checked = true;
    control.focus();
    return true;
  };

  const note = () => {
    const field = form && form.querySelector("[data-note] textarea");
    if (!field || !field.checkVisibility()) return false;
    field.focus();
    return true;
  };

  // From row to row of the list, stopping at the first and the last.
  const step = (by) => {
    const rows = [...document.querySelectorAll("[data-row]")];
    if (!rows.length) return false;
    const at = rows.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
    rows[Math.min(Math.max(next, 0), rows.length - 1)].focus();
    return true;
  };

  const toggle = () => {
    if (!dialog) return false;
    if (dialog.open) dialog.close();
    else dialog.showModal();
    return true;
  };

  const keys = {
    j: () => follow("after") || step(1),
    k: () => follow("before") || step(-1),
    u: () => follow("list"),
    t: note,
    "?": toggle,
  };

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("textarea") && form && form.contains(event.target)) {
      if (event.key === "Escape") event.target.blur();
      if (event.key === "Enter" && event.ctrlKey) form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (isTyping(event.target)) return;
    if (dialog && dialog.open && event.key !== "?") return;
    // The selected radio has the focus, so Enter submits as in any form.
    if (!on && event.key !== "?") return;
    const act = keys[event.key];
    if (act ? act() : choose(event.key)) event.preventDefault();
  });

  document.querySelector("[data-shortcuts]")?.addEventListener("click", toggle);
  if (onSwitch) {
    onSwitch.checked = on;
    onSwitch.addEventListener("change", () => {
      on = onSwitch.checked;
      localStorage.setItem(STORED, on ? "on" : "off");
    });
  }
})();
