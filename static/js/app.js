// A hidden tab asks for nothing; coming back asks at once.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.matches("[data-poll]")) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !window.htmx) return;
  for (const poll of document.querySelectorAll("[data-poll]")) htmx.trigger(poll, "wake");
});

// Logged out in the meantime: a poll is answered with the login page, which belongs in the window.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  const asked = new URL(requestConfig.path, location.href).pathname;
  if (!xhr.responseURL || new URL(xhr.responseURL).pathname === asked) return;
  event.preventDefault();
  location.reload();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});
