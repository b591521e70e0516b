// A hidden tab asks for nothing; coming back asks at once.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.matches("[data-poll]")) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !window.htmx) return;
  for (const poll of document.querySelectorAll("[data-poll]")) htmx.trigger(poll, "wake");
});
