import { parser } from "@prometheus-io/lezer-promql";
import { assert, assertEquals } from "@std/assert";
import { scrape, SOURCES } from "./_prometheus.ts";

/** The part of a dashboard that this test looks at. */
interface Dashboard {
  uid: string;
  templating: { list: { name: string; query: string | { query: string } }[] };
  panels: Panel[];
}
interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig?: { defaults: { unit: string } };
  targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}

const dashboard: Dashboard = JSON.parse(
  await Deno.readTextFile(new URL("../../docs/grafana.json", import.meta.url)),
);
const panels = dashboard.panels.filter(({ type }) => type !== "row");

/**
 * The names of a metric in Prometheus, of every series that it has. OpenTelemetry's exporter for
 * JavaScript writes it as it is; its collector, and Prometheus itself, add the unit.
 */
interface Metric {
  readonly plain: readonly string[];
  readonly withUnit: readonly string[];
}

const SUFFIXES: Record<string, string> = { By: "_bytes", s: "_seconds" };

/** All metrics of `instrument`, as the exporter writes them. */
async function metrics(): Promise<Metric[]> {
  const text = await scrape(SOURCES);
  const units = new Map(
    text.matchAll(/^# UNIT (\w+) (.*)$/gm).map(([, name, unit]) => [name, unit]),
  );
  return text.matchAll(/^# TYPE (\w+) (\w+)$/gm)
    .filter(([, name]) => /^(roomcast|messaging)_/.test(name))
    .map(([, name, type]) => {
      const base = name.replace(/_total$/, "");
      const ends = type === "counter"
        ? ["_total"]
        : type === "histogram"
        ? ["_bucket", "_sum", "_count"]
        : [""];
      const suffix = SUFFIXES[units.get(name) ?? ""] ?? "";
      return {
        plain: ends.map((end) => base + end),
        withUnit: ends.map((end) => base + suffix + end),
      };
    }).toArray();
}

/** What a query asks for: a pattern for the name of each series in it. */
function selectorsOf(query: string): RegExp[] {
  const selectors: RegExp[] = [];
  parser.parse(query).iterate({
    enter({ type, from, to, node }) {
      assert(!type.isError, `${query}: a mistake at ${from}`);
      if (type.name !== "VectorSelector") return;
      const name = node.getChild("Identifier");
      const text = query.slice(from, to);
      const pattern = name === null
        ? /\b__name__=~"(.*?)"/.exec(text)?.[1]
        : query.slice(name.from, name.to);
      assert(pattern !== undefined, `${text} has no name`);
      selectors.push(new RegExp(`^(?:${pattern})$`));
    },
  });
  return selectors;
}

/** The queries of all panels and variables, with Grafana's variables filled in. */
function queries(): string[] {
  const panelQueries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  const variableQueries = dashboard.templating.list.flatMap(({ query }) => {
    const text = typeof query === "string" ? query : query.query;
    return /^label_values\((.*), \w+\)$/.exec(text)?.[1] ?? [];
  });
  return [...panelQueries, ...variableQueries].map((query) =>
    query.replaceAll("$__rate_interval", "1m")
  );
}

Deno.test("every query of the dashboard is PromQL and finds a metric, by either of its names", async () => {
  const all = await metrics();
  const [plain, withUnit] = [
    all.flatMap((metric) => metric.plain),
    all.flatMap((metric) => {
      return metric.withUnit;
    }),
  ];
  let count = 0;
  for (const query of queries()) {
    for (const selector of selectorsOf(query)) {
      for (const names of [plain, withUnit]) {
        const found = names.filter((name) => selector.test(name));
        assertEquals(found.length, 1, `${query}: ${selector} finds ${found.join() || "nothing"}`);
      }
      count++;
    }
  }
  assert(count >= all.length, `only ${count} selectors`);
});

Deno.test("every metric is on the dashboard", async () => {
  const selectors = queries().flatMap(selectorsOf);
  for (const { plain } of await metrics()) {
    const isShown = plain.some((name) => selectors.some((selector) => selector.test(name)));
    assert(isShown, `${plain[0]} is not on the dashboard`);
  }
});

Deno.test("the dashboard's panels have ids, texts and units, and do not overlap", () => {
  const ids = dashboard.panels.map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
  const taken = new Set<string>();
  for (const { title, gridPos: { x, y, w, h } } of dashboard.panels) {
    assert(title !== "" && x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        const cell = `${column},${row}`;
        assert(!taken.has(cell), `${title} overlaps another panel`);
        taken.add(cell);
      }
    }
  }
  for (const { title, description, fieldConfig, targets = [] } of panels) {
    assert(description && fieldConfig?.defaults.unit && targets.length > 0, title);
    const refs = targets.map(({ refId }) => refId);
    assertEquals(new Set(refs).size, refs.length, title);
  }
});

Deno.test("the dashboard queries the chosen data source, and uses only its own variables", () => {
  const variables = dashboard.templating.list.map(({ name }) => name);
  const text = JSON.stringify(dashboard.panels);
  for (const [, name] of text.matchAll(/\$\{?(\w+)/g)) {
    if (!name.startsWith("__")) assert(variables.includes(name), name);
  }
  for (const { title, datasource, targets = [] } of panels) {
    for (const source of [datasource, ...targets.map((target) => target.datasource)]) {
      assertEquals(source?.uid, "${datasource}", title);
    }
  }
});

Deno.test("the dashboard groups and filters by labels that exist", async () => {
  const text = await scrape(SOURCES);
  const labels = new Set(text.matchAll(/[{,](\w+)=/g).map(([, label]) => label));
  // Prometheus adds these two itself.
  const known = labels.union(new Set(["job", "instance", "__name__"]));
  for (const query of queries()) {
    parser.parse(query).iterate({
      enter({ type, from, to }) {
        if (type.name !== "LabelName") return;
        assert(known.has(query.slice(from, to)), `${query}: ${query.slice(from, to)}`);
      },
    });
  }
});
