// Applies the stored theme before the first paint; src/theme.ts keeps it.
(() => {
  try {
    const stored = localStorage.getItem("fieldline-theme");
    if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
  } catch {
    // Storage may be forbidden: the system's theme it is.
  }
})();
