// A button beside each password that shows what is typed, and hides it again.
for (const input of document.querySelectorAll('input[type="password"]')) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-secondary show-password";
  button.setAttribute("aria-controls", input.id);
  const say = () => {
    button.textContent = input.type === "password" ? "Show" : "Hide";
    button.setAttribute("aria-label", `${button.textContent} the password`);
  };
  button.addEventListener("click", () => {
    input.type = input.type === "password" ? "text" : "password";
    say();
    input.focus();
  });
  // A password that was shown is not kept by the browser as other text is.
  input.form?.addEventListener("submit", () => (input.type = "password"));
  const row = document.createElement("div");
  row.className = "password-row";
  input.replaceWith(row);
  row.append(input, button);
  say();
}
