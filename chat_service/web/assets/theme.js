// Before the first paint, so that nobody who chose the dark is shown the light. Not a module, since
// modules wait for the document.
{
  /** @type {string | null} */
  let chosen = null;
  try {
    chosen = JSON.parse(localStorage.getItem("chat.theme") ?? "null");
  } catch {
    // No storage, no choice.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
}
