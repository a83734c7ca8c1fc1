/** What the report says about each scenario. */

import { CONTENDERS } from "./contenders.ts";
import { compared, megabytes, short, table } from "./markdown.ts";
import { type Bar, drawBars, drawLines, type Point } from "./plot.ts";
import type { Results, Sample } from "./results.ts";
import { SHARES } from "./scenarios/latency.ts";
import { median } from "./stats.ts";

/** A part of the report. */
export interface Section {
  readonly title: string;
  readonly text: string;
  /** SVG, by file name. */
  readonly pictures: ReadonlyMap<string, string>;
}

/** Samples, and questions about them. */
class Samples {
  readonly all: readonly Sample[];

  constructor(all: readonly Sample[]) {
    this.all = all;
  }

  where(what: Record<string, string | number>): Samples {
    return new Samples(
      this.all.filter((sample) => Object.entries(what).every(([k, v]) => sample.case[k] === v)),
    );
  }

  /** Who has taken part, in the order of the table of contenders. */
  get contenders(): readonly { key: string; name: string }[] {
    return CONTENDERS.filter(({ key }) => this.all.some(({ contender }) => contender === key));
  }

  values(contender: string, value: string): number[] {
    return this.all.filter((sample) => sample.contender === contender)
      .map(({ values }) => values[value]).filter(Number.isFinite);
  }

  /** The values of whom the others are measured by: the first. */
  reference(value: string): number[] {
    return this.values(this.contenders[0]?.key ?? "", value);
  }

  distinct(name: string): (string | number)[] {
    return [...new Set(this.all.map((sample) => sample.case[name]))].filter((x) => x !== undefined);
  }

  curve(contender: string, name: string): readonly number[][] {
    return this.all.flatMap((sample) =>
      sample.contender === contender && sample.curves?.[name] ? [[...sample.curves[name]]] : []
    );
  }
}

const RATIO = "In bold: compared with roomcast, the first line. In brackets: how far the lowest " +
  "and the highest round are apart.";

/** Describes the results of a scenario. */
export function describe(results: Results): Section {
  const samples = new Samples(results.samples);
  const sections = [throughput, latency, oneNode, growth, badWeather];
  const { title } = results;
  const made = sections[results.scenario - 1](samples);
  const text = made.text.filter((part) => part !== "").join("\n\n");
  return { title, text, pictures: made.pictures };
}

interface Made {
  readonly text: string[];
  readonly pictures: Map<string, string>;
}

/** A row for each contender, a column for each case, of one value. */
function cases(
  samples: Samples,
  title: string,
  columns: readonly { readonly name: string; readonly samples: Samples }[],
  cell: (samples: Samples, contender: string) => string,
): string {
  return table(
    [title, ...columns.map(({ name }) => name)],
    samples.contenders.map(({ key, name }) => [
      name,
      ...columns.map((column) => cell(column.samples, key)),
    ]),
  );
}

function comparedCell(value: string): (samples: Samples, contender: string) => string {
  return (samples, contender) =>
    compared(samples.values(contender, value), samples.reference(value));
}

function medianCell(value: string, unit = 1): (samples: Samples, contender: string) => string {
  return (samples, contender) => short(median(samples.values(contender, value)) / unit);
}

function throughput(samples: Samples): Made {
  const text: string[] = [];
  const bars: Bar[] = [];
  const rates = new Samples(samples.all.filter(({ contender }) => contender !== "generator"));
  for (const nodes of rates.distinct("nodes")) {
    const here = rates.where({ nodes });
    const columns = here.distinct("clients").flatMap((clients) =>
      here.distinct("at").flatMap((at) =>
        here.distinct("rooms").flatMap((rooms) =>
          here.distinct("bytes").map((bytes) => ({
            name: `${clients} ${at}, ${rooms} room${rooms === 1 ? "" : "s"}, ${bytes} B`,
            samples: here.where({ clients, at, rooms, bytes }),
          }))
        )
      )
    ).filter((column) => column.samples.all.length > 0);
    const add = (title: string, cell: (samples: Samples, contender: string) => string) =>
      text.push(cases(here, `${nodes} nodes: ${title}`, columns, cell));
    add("deliveries/s", comparedCell("deliveriesPerSecond"));
    add("CPU seconds per million deliveries, nodes + broker", (samples, contender) => {
      const broker = median(samples.values(contender, "brokerCpuPerMillion"));
      const cpu = short(median(samples.values(contender, "cpuPerMillion")));
      return broker > 0 ? `${cpu} + ${short(broker)}` : cpu;
    });
    add("peak memory of nodes and broker, MB", medianCell("peakBytes", 1e6));
    for (const { name, samples: some } of columns) {
      for (const contender of some.contenders) {
        const value = median(some.values(contender.key, "deliveriesPerSecond"));
        const [clients, rooms, bytes] = name.split(", ");
        bars.push({
          name: contender.name,
          value,
          column: `${clients}, ${rooms}`,
          row: `${nodes} nodes, ${bytes}`,
        });
      }
    }
  }
  text.push(RATIO);
  text.push(generator(samples, rates));
  const svg = drawBars("Deliveries a second", bars, { label: "deliveries/s →" });
  return { text, pictures: new Map([["throughput.svg", svg]]) };
}

/** Whether the generator was what limited anybody. */
function generator(samples: Samples, rates: Samples): string {
  const checks = samples.all.filter(({ contender }) => contender === "generator");
  const shares = rates.all.map(({ values }) => values.generatorShare);
  const rows = checks.map((check) => [
    `${check.case.clients} sockets, ${check.case.frames} messages in a write`,
    short(check.values.perSecond),
  ]);
  return [
    table(["what the load generator takes in", "messages/s"], rows),
    `In all rounds above it used ${Math.round(median(shares) * 100)} % of one core (median), ` +
    `${Math.round(Math.max(...shares) * 100)} % at most.`,
  ].join("\n");
}

/** The share as its distance from all, so that the rare has room. */
function rarity(share: number): number {
  return 1 / (1 - share);
}

function latency(samples: Samples): Made {
  const points: Point[] = [];
  const rows = samples.contenders.map(({ key, name }) => {
    const curves = samples.curve(key, "quantilesMs");
    for (const [i, share] of SHARES.entries()) {
      points.push({ name, x: rarity(share), y: median(curves.map((curve) => curve[i])) });
    }
    const cell = (value: string) => compared(samples.values(key, value), samples.reference(value));
    return [name, cell("p50Ms"), cell("p99Ms"), cell("p999Ms")];
  });
  const [rate = NaN] = samples.all.map(({ values }) => values.rate);
  const late = median(samples.all.map(({ values }) => values.lateMs));
  const ticks = [0.5, 0.9, 0.99, 0.999, 0.9999];
  const svg = drawLines(
    "Latency",
    points,
    {
      label: "share of deliveries →",
      log: true,
      ticks: ticks.map(rarity),
      format: (x) => `${Number((100 - 100 / x).toFixed(2))} %`,
    },
    { label: "↑ ms from the planned time of a message", log: true, format: String },
  );
  const text = [
    table(["ms", "p50", "p99", "p99.9"], rows),
    `${rate} broadcasts a second for everybody. The generator itself was ${short(late)} ms late ` +
    `(p99), which is part of these figures. ${RATIO}`,
  ];
  return { text, pictures: new Map([["latency.svg", svg]]) };
}

function oneNode(samples: Samples): Made {
  const fanOut = samples.where({ part: "fan-out" });
  const columns = fanOut.distinct("times").flatMap((times) =>
    fanOut.distinct("clients").map((clients) => ({
      name: `${clients} sockets, ${times === 1 ? "singly" : `${times} in a tick`}`,
      samples: fanOut.where({ clients, times }),
    }))
  );
  const singly = columns.filter(({ name }) => name.includes("singly"));
  const bars = columns.flatMap(({ name, samples: some }) =>
    some.contenders.map((contender): Bar => {
      const [column, row] = name.split(", ");
      const value = median(some.values(contender.key, "deliveriesPerSecond"));
      return { name: contender.name, value, column, row };
    })
  );
  const memory = samples.where({ part: "memory" });
  const [memberships = 0] = memory.distinct("clients").map((clients) => Number(clients) * 200);
  const text = [
    cases(fanOut, "deliveries/s", columns, comparedCell("deliveriesPerSecond")),
    cases(fanOut, "CPU seconds per million deliveries", columns, medianCell("cpuPerMillion")),
    cases(
      fanOut,
      "ms until everybody has a broadcast, p50 / p99",
      singly,
      (some, key) =>
        ["p50Ms", "p99Ms"].map((value) => short(median(some.values(key, value)))).join(" / "),
    ),
    RATIO,
    othersNote(fanOut),
    table(
      [
        "memory",
        "empty, MB",
        "an idle connection, KB",
        "…in 10 rooms, KB",
        "a membership, bytes",
        `all of ${short(memberships)} memberships, MB`,
        "joining them, s",
      ],
      memory.contenders.map(({ key, name }) => {
        const middle = (value: string) => median(memory.values(key, value));
        return [
          name,
          megabytes(middle("emptyBytes")),
          short(middle("perConnectionBytes") / 1e3),
          short(middle("perConnectionInRoomsBytes") / 1e3),
          short(middle("perMembershipBytes")),
          megabytes(middle("fullBytes")),
          short(middle("joinSeconds")),
        ];
      }),
    ),
  ];
  const svg = drawBars("Deliveries a second of one node", bars, {
    label: "deliveries/s →",
    log: true,
  });
  return { text, pictures: new Map([["one_node.svg", svg]]) };
}

/** Whether the machine was calm. */
function othersNote(samples: Samples): string {
  const shares = samples.all.map(({ values }) => values.othersShare).filter(Number.isFinite);
  if (shares.length === 0) return "";
  return "Everything else on the machine used " +
    `${short(median(shares))} of a core in the median measurement and ${
      short(Math.max(...shares))
    } ` +
    "in the worst. A measurement that others disturb is repeated, up to three times, and the one " +
    "with the least of it counts.";
}

function growth(samples: Samples): Made {
  const pictures = new Map<string, string>();
  const text: string[] = [];
  for (const part of ["rooms", "nodes"]) {
    const here = samples.where({ part });
    const columns = here.distinct(part).map((count) => ({
      name: `${short(Number(count)).replace(/\.0+$/, "")} ${part}`,
      samples: here.where({ [part]: count }),
    }));
    text.push(cases(
      here,
      `more ${part}: CPU µs for a broadcast, nodes and broker`,
      columns,
      comparedCell("cpuPerBroadcastMicros"),
    ));
    text.push(
      cases(here, `more ${part}: broadcasts/s`, columns, medianCell("broadcastsPerSecond")),
    );
    const points = here.contenders.flatMap(({ key, name }) =>
      here.distinct(part).map((count): Point => {
        const some = here.where({ [part]: count });
        const y = median(some.values(key, "cpuPerBroadcastMicros"));
        return { name, x: Number(count), y };
      })
    );
    const svg = drawLines(
      `CPU for a broadcast as ${part} become more`,
      points.filter(({ y }) => Number.isFinite(y)),
      { label: `${part} →`, log: true, ticks: here.distinct(part).map(Number) },
      { label: "↑ CPU µs for a broadcast", log: true, format: String },
    );
    pictures.set(`growth_${part}.svg`, svg);
  }
  text.push(RATIO);
  return { text, pictures };
}

function badWeather(samples: Samples): Made {
  const pictures = new Map<string, string>();
  const text: string[] = [];
  const parts = [["client", "a client stops reading"], ["node", "a node stops"]];
  for (const [part, title] of parts) {
    const here = samples.where({ part });
    const rows = here.contenders.map(({ key, name }) => {
      const middle = (value: string) => median(here.values(key, value));
      return [
        name,
        megabytes(middle("peakGrowthBytes")),
        megabytes(middle("endGrowthBytes")),
        `${short(middle("fairP50Ms"))} / ${short(middle("fairP99Ms"))}`,
        `${short(middle("p50Ms"))} / ${short(middle("p99Ms"))} / ${short(middle("p999Ms"))}`,
        short(middle("lost")),
        ...part === "node" ? [short(middle("recoveryMs")), short(middle("reconnected"))] : [],
      ];
    });
    text.push(table(
      [
        title,
        "memory, at most + MB",
        "at the end + MB",
        "others, before: p50 / p99 ms",
        "others, meanwhile: p50 / p99 / p99.9 ms",
        "lost for others",
        ...part === "node" ? ["heard again after, ms", "of 2 clients there closed"] : [],
      ],
      rows,
    ));
    const points = here.contenders.flatMap(({ key, name }) =>
      here.curve(key, "memoryBytes").flatMap(([first, ...rest]) =>
        [first, ...rest].map((bytes, x): Point => ({ name, x, y: (bytes - first) / 1e6 }))
      )
    );
    const svg = drawLines(
      `Memory while ${title}`,
      points,
      { label: "seconds →" },
      { label: "↑ MB more than before" },
    );
    pictures.set(`stalled_${part}.svg`, svg);
  }
  const flood = samples.where({ part: "flood" });
  for (const rooms of flood.distinct("rooms")) {
    const here = flood.where({ rooms });
    text.push(table(
      [
        `clients that never read, ${rooms}`,
        "KB for each, at most: heap / resident",
        "KB left",
        "free again after, ms",
        "a quiet room: p50 / p99 / most, ms",
        "broadcasts/s to each room",
      ],
      here.contenders.map(({ key, name }) => {
        const middle = (value: string) => median(here.values(key, value));
        const quiet = ["quietP50Ms", "quietP99Ms", "quietMaxMs"].map((q) => short(middle(q)));
        return [
          name,
          ["perClientBytes", "perClientResidentBytes"].map((size) => short(middle(size) / 1e3))
            .join(" / "),
          short(middle("leftPerClientBytes") / 1e3),
          short(middle("freeAfterMs")),
          quiet.join(" / "),
          short(middle("rate")),
        ];
      }),
    ));
  }
  const kill = samples.where({ part: "kill" });
  text.push(table(
    [
      "a node is killed: ms",
      "until all others know",
      "start of its successor",
      "from there to full delivery",
    ],
    kill.contenders.map(({ key, name }) => {
      const cell = (value: string) => {
        const values = kill.values(key, value);
        if (values.length === 0) return "never told";
        return `${short(median(values))} (at most ${short(Math.max(...values))})`;
      };
      return [name, cell("knownMs"), cell("startMs"), cell("deliveryMs")];
    }),
  ));
  return { text, pictures };
}
