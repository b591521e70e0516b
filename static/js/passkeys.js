// Says on the page why a passkey did not work; without this only the console would know.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const note = document.createElement("p");
  note.className = "note note-error";
  note.textContent = window.isSecureContext
    ? "The passkey was not used. Try again, or use another way."
    : "Passkeys work over https only. Use another way.";
  document.getElementById("messages").replaceChildren(note);
});
