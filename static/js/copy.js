// [data-copy="id"] copies the text of that element and confirms it on the button.
for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source); // without https: selected, ready for Ctrl-C
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = label), 2000);
  });
}
