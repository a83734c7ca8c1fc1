/** Pictures, as SVG: by Observable Plot, which draws into any DOM, here one without a browser. */

import * as Plot from "npm:@observablehq/plot@0.6.17";
import { DOMParser } from "npm:linkedom@0.18.15";

/** One bar. */
export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Which of the panels: across and down. */
  readonly column: string;
  readonly row: string;
}

/** One point of a line. */
export interface Point {
  readonly name: string;
  readonly x: number;
  readonly y: number;
}

/** An axis of a picture with lines. */
export interface Axis {
  readonly label: string;
  readonly log?: boolean;
  readonly ticks?: readonly number[];
  readonly format?: (value: number) => string;
}

const WIDTH = 960;
const BAR_HEIGHT = 13;
const PANEL_GAP = 34;
const LINE_HEIGHT = 420;
/** The widest that a letter of a name is on average, in the font of `STYLE`. */
const LETTER_WIDTH = 7;
const NAME_PADDING = 16;
const LABEL_MARGIN = 42;
const RIGHT_MARGIN = 110;
const STYLE = "background: white; color: #222; font: 11px system-ui, sans-serif";

/** A panel for each column and row, in each a bar for each name. */
export function drawBars(
  title: string,
  bars: readonly Bar[],
  { label, log }: { label: string; log?: boolean },
): string {
  const names = [...new Set(bars.map(({ name }) => name))];
  const rows = new Set(bars.map(({ row }) => row)).size;
  return render({
    title,
    width: WIDTH,
    height: rows * (names.length * BAR_HEIGHT + PANEL_GAP) + 60,
    marginLeft: widthOf(names),
    marginBottom: LABEL_MARGIN,
    marginRight: RIGHT_MARGIN,
    color: colors(names),
    x: { label, type: log ? "log" : "linear", grid: true, ticks: 3, tickFormat: "~s" },
    y: { label: null, domain: names },
    fx: { label: null, domain: unique(bars.map(({ column }) => column)) },
    fy: { label: null, domain: unique(bars.map(({ row }) => row)) },
    marks: [
      log
        // A logarithm has no zero to begin at.
        ? Plot.dotX(bars, { x: "value", y: "name", fx: "column", fy: "row", fill: "name", r: 4 })
        : Plot.barX(bars, { x: "value", y: "name", fx: "column", fy: "row", fill: "name" }),
    ],
  });
}

/** A line for each name. */
export function drawLines(title: string, points: readonly Point[], x: Axis, y: Axis): string {
  const names = unique(points.map(({ name }) => name));
  return render({
    title,
    width: WIDTH,
    height: LINE_HEIGHT,
    marginLeft: 60,
    marginBottom: LABEL_MARGIN,
    marginRight: widthOf(names),
    color: { ...colors(names), legend: false },
    x: scale(x),
    y: { ...scale(y), grid: true },
    marks: [
      Plot.line(points, { x: "x", y: "y", stroke: "name", strokeWidth: 1.6 }),
      Plot.text(
        spreadOut(points, y.log === true),
        { x: "x", y: "y", text: "name", fill: "name", textAnchor: "start", dx: 6 },
      ),
    ],
  });
}

/** What the longest of these names takes beside a panel. */
function widthOf(names: readonly string[]): number {
  return Math.max(...names.map(({ length }) => length)) * LETTER_WIDTH + NAME_PADDING;
}

/** Where the name of each line goes: at its end, but not on top of another. */
function spreadOut(points: readonly Point[], log: boolean): Point[] {
  const SHARE_OF_HEIGHT = 0.035;
  const place = (value: number) => log ? Math.log(value) : value;
  const value = (place: number) => log ? Math.exp(place) : place;
  const places = points.map(({ y }) => place(y)).filter(Number.isFinite);
  const gap = (Math.max(...places) - Math.min(...places)) * SHARE_OF_HEIGHT;
  const right = Math.max(...points.map(({ x }) => x));
  const ends = unique(points.map(({ name }) => name)).flatMap((name) =>
    points.findLast((point) => point.name === name) ?? []
  ).sort((a, b) => a.y - b.y);
  let last = -Infinity;
  return ends.map((end) => {
    last = Math.max(place(end.y), last + gap);
    return { ...end, x: right, y: value(last) };
  });
}

function scale({ label, log, ticks, format }: Axis): Plot.ScaleOptions {
  return {
    label,
    type: log ? "log" : "linear",
    ...ticks && { ticks: [...ticks] },
    tickFormat: format ?? "~s",
  };
}

function colors(names: readonly string[]): Plot.ScaleOptions {
  return { domain: [...names], scheme: "observable10" };
}

function render({ title, ...options }: Plot.PlotOptions & { title: string }): string {
  const document = new DOMParser().parseFromString("<html></html>", "text/html");
  // Plot wants the type of a browser's DOM, which Deno does not have.
  const plain = { ...options, document } as unknown as Plot.PlotOptions;
  const svg = Plot.plot(plain) as unknown as SvgElement;
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.setAttribute("style", STYLE);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  return `${svg.outerHTML}\n`;
}

interface SvgElement {
  readonly outerHTML: string;
  setAttribute(name: string, value: string): void;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
