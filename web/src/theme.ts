// The colour theme: the system's, or the visitor's own choice. public/theme.js
// applies the stored choice before the first paint.

export type Theme = "system" | "light" | "dark";

const KEY = "fieldline-theme";

export function theme(): Theme {
  const stored = read();
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function setTheme(choice: Theme): void {
  try {
    if (choice === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // Storage may be forbidden: the choice then lasts as long as the page.
  }
  if (choice === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = choice;
  for (const fn of [...listeners]) fn();
}

const listeners = new Set<() => void>();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const fn of [...listeners]) fn();
});

/** Calls fn when the colours change. */
export function onTheme(fn: () => void): () => void {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

/** A custom property's colour, resolved for the theme in force, as canvas wants it. */
export function colour(property: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function read(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
