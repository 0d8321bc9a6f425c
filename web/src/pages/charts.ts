// One chart per numeric field, under one time range and one crosshair.

import uPlot from "uplot";
import { levels, tick } from "../axis";
import { now } from "../clock";
import { h, setText } from "../dom";
import type { Column, Samples } from "../samples";
import { colour, onTheme } from "../theme";
import { clock, SECOND } from "../time";
import { unitOf } from "../units";

const HEIGHT = 160;
const MOST_CHARTS = 12;
const SYNC = "time";

interface Chart {
  readonly plot: uPlot;
  readonly element: HTMLElement;
  column: Column;
}

export class Charts {
  readonly element = h("div", { class: "charts" });
  #charts = new Map<string, Chart>();
  #observer: ResizeObserver;
  #stopTheme: () => void;
  #paint = palette();

  constructor() {
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(this.element);
    this.#stopTheme = onTheme(() => {
      this.#paint = palette();
      for (const { plot } of this.#charts.values()) plot.redraw(false, true);
    });
  }

  close(): void {
    this.#stopTheme();
    this.#observer.disconnect();
    for (const { plot } of this.#charts.values()) plot.destroy();
    this.#charts.clear();
  }

  /** Draws the samples between two moments. Silence of over `most` ms breaks a line. */
  draw(samples: Samples, from: number, to: number, most: number): void {
    const names = [...samples.latest().values()].filter(({ field }) => field.number !== undefined).map(({ field }) => field.name);
    for (const name of names) if (!this.#charts.has(name) && this.#charts.size < MOST_CHARTS) this.#add(name);
    for (const [name, chart] of this.#charts) {
      chart.column = samples.column(name, most);
      chart.plot.batch(() => {
        chart.plot.setData([chart.column.xs, chart.column.ys] as uPlot.AlignedData, false);
        chart.plot.setScale("x", { min: from / SECOND, max: to / SECOND });
      });
    }
  }

  #add(name: string): void {
    const readout = h("span", { class: "readout" });
    const unit = unitOf(name);
    const box = h("div", { class: "plot" });
    const title = h("h3", {}, name, unit && h("small", {}, ` ${unit}`));
    const element = h("section", { class: "chart", "aria-label": `Chart of ${name}` }, h("div", { class: "chart-head" }, title, readout), box);
    this.element.append(element);
    const empty: Column = { xs: [], ys: [], texts: [] };
    const plot = new uPlot(this.#options(name, readout), [[], []], box);
    this.#charts.set(name, { plot, element, column: empty });
  }

  #options(name: string, readout: HTMLElement): uPlot.Options {
    const paint = () => this.#paint;
    const axis = { stroke: () => paint().text, font: `12px ${FONT}`, ticks: { show: false }, grid: { stroke: () => paint().line, width: 1 } };
    return {
      width: this.#width(),
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 28, 0, 0],
      cursor: { sync: { key: SYNC, scales: ["x", null] }, drag: { x: false, y: false }, y: false, points: { size: 7 } },
      scales: { x: { time: true, auto: false }, y: { range: verticalRange } },
      axes: [
        { ...axis, size: 28, gap: 8, space: tickSpace, values: (_plot, splits, _axis, _space, step) => splits.map((at) => tick(at, step)) },
        { ...axis, size: levelsWidth, gap: 8, space: 32, values: (_plot, splits) => levels(splits) },
      ],
      series: [
        {},
        {
          stroke: () => paint().accent,
          width: 1.5,
          points: { size: 4, fill: () => paint().accent, show: (plot, _series, first, last) => last - first < plot.width / 12 },
        },
      ],
      hooks: { setCursor: [(plot) => setText(readout, this.#under(name, plot))] },
    };
  }

  /** The exact value under the crosshair, with its time. */
  #under(name: string, plot: uPlot): string {
    const at = plot.cursor.idx;
    const column = this.#charts.get(name)?.column;
    const text = at == null ? "" : column?.texts[at];
    if (at == null || !text || (plot.cursor.left ?? -1) < 0) return "";
    return `${text} at ${clock(column!.xs[at]! * SECOND, now())}`;
  }

  #width(): number {
    return Math.max(200, Math.floor(this.element.clientWidth));
  }

  #resize(): void {
    const width = this.#width();
    for (const { plot } of this.#charts.values()) if (plot.width !== width) plot.setSize({ width, height: HEIGHT });
  }
}

const FONT = "system-ui, sans-serif";

function palette() {
  return { accent: colour("--accent"), text: colour("--muted"), line: colour("--line") };
}

/** A tenth of air above and below; a constant value gets a scale of its own size. */
function verticalRange(_plot: uPlot, low: number | null, high: number | null): [number | null, number | null] {
  if (low == null || high == null) return [null, null];
  const air = (high - low) * 0.1 || Math.abs(high) * 0.1 || 1;
  return [low - air, high + air];
}

/** Least pixels between times: "09:15" needs less room than "09:15:30". */
function tickSpace(_plot: uPlot, _axis: number, from: number, to: number, width: number): number {
  return (width * 60) / (to - from) < 88 ? 48 : 88;
}

/** Room for the widest number of the vertical axis; the same for all but very long ones, so that charts line up. */
function levelsWidth(_plot: uPlot, texts: readonly string[] | null): number {
  return Math.max(56, 16 + 7 * Math.max(0, ...(texts ?? []).map((text) => text.length)));
}
