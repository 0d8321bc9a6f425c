import { fill, h } from "../dom";

export interface Confirmation {
  readonly ask: string;
  readonly question: string;
  readonly yes: string;
  readonly act: () => Promise<void>;
}

/** A button for what cannot be undone: pressed, it asks in its own place. */
export function confirmed({ ask, question, yes, act }: Confirmation): HTMLElement {
  const place = h("span", { class: "confirm" });
  const first = h("button", { type: "button", onclick: () => open() }, ask);
  fill(place, first);
  return place;

  function open(): void {
    const sure = h("button", { type: "button", class: "danger" }, yes);
    const keep = h("button", { type: "button", onclick: close }, "Keep");
    sure.addEventListener("click", async () => {
      sure.disabled = keep.disabled = true;
      await act();
      close();
    });
    fill(place, h("span", { class: "alarm-text" }, question), sure, keep);
    keep.focus();
  }

  function close(): void {
    fill(place, first);
    if (first.isConnected) first.focus();
  }
}
