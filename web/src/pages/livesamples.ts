// The last messages of the statement's topic, and what it makes of them.

import { fill, h, setText } from "../dom";
import { command, shell } from "../parts";
import type { TappedMessage } from "../ruleapi";
import { type MessageTrace, outcomeOf } from "../trace";
import { arrange, arrowKeys, TraceRow } from "./tracerow";

export class LiveSamples {
  readonly element: HTMLElement;
  #summary = h("p", { class: "muted" });
  #list = h("ol", { class: "trace samples" });
  #none = h("div");
  #rows = new Map<string, TraceRow>();
  #use: (message: MessageTrace) => void;

  constructor(use: (message: MessageTrace) => void) {
    this.#use = use;
    this.element = h("div", {}, this.#summary, this.#none, this.#list);
    arrowKeys(this.#list);
  }

  /** Shows what the statement makes of messages, newest first. */
  show(traces: readonly MessageTrace[], filter: string | undefined): void {
    const count = (outcome: string) => traces.filter(({ rules: [rule] }) => rule && outcomeOf(rule) === outcome).length;
    const failed = count("failed");
    const words = `It would fire for ${count("fired") + count("waiting")} of the last ${traces.length} messages${failed ? ` and fail for ${failed}` : ""}.`;
    setText(this.#summary, traces.length ? words : "");
    this.#draw(traces, filter);
  }

  /** Shows messages that nothing can be said of while the statement does not parse. */
  showUnjudged(messages: readonly TappedMessage[], filter: string | undefined): void {
    setText(this.#summary, messages.length ? "Mend the statement to see what it makes of these messages." : "");
    this.#draw(messages.map(asTrace), filter);
  }

  #draw(traces: readonly MessageTrace[], filter: string | undefined): void {
    const rows = new Map<string, TraceRow>();
    for (const trace of traces) {
      // The trial's ids are new each time; what tells messages apart is what they are.
      const same = [trace.at, trace.topic, trace.clientId, trace.payload.text ?? trace.payload.binary].join("\n");
      let key = same;
      for (let n = 1; rows.has(key); n++) key = `${same}\n${n}`;
      const row = this.#rows.get(key) ?? new TraceRow({ trial: true, use: this.#use });
      row.show({ ...trace, id: "", rules: [] }, trace.rules[0]);
      rows.set(key, row);
    }
    this.#rows = rows;
    arrange(this.#list, [...rows.values()].map(({ element }) => element));
    this.#tellNone(traces.length === 0, filter);
  }

  #tellNone(none: boolean, filter: string | undefined): void {
    this.#none.hidden = !none;
    const key = filter ?? "";
    if (!none || this.#none.dataset["shows"] === key) return;
    this.#none.dataset["shows"] = key;
    const plain = filter && !/[+#]/.test(filter);
    fill(
      this.#none,
      h("p", { class: "muted long" }, `No message${filter ? ` on ${filter}` : ""} since the server started. The next one appears here by itself.`),
      plain && command(`fieldline pub ${shell(filter)} ${shell('{"temperature":31}')}`, "the command"),
    );
  }
}

function asTrace({ topic, payload, binary, clientId, arrived }: TappedMessage): MessageTrace {
  const excerpt = binary === undefined ? { text: payload ?? "" } : { binary };
  return { id: "", at: arrived, topic, ...(clientId ? { clientId } : {}), payload: excerpt, rules: [] };
}
