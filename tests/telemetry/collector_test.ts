import { assert, assertEquals } from "@std/assert";

/** The part of OTLP's metrics, as JSON, that this test looks at. */
interface Export {
  resourceMetrics: { scopeMetrics: { metrics: Metric[] }[] }[];
}
interface Metric {
  name: string;
  unit?: string;
  sum?: { isMonotonic: boolean; dataPoints: Point[] };
  gauge?: { dataPoints: Point[] };
  histogram?: { dataPoints: { count: string | number }[] };
}
interface Point {
  asDouble?: number;
  asInt?: string | number;
  attributes: { key: string; value: { stringValue?: string } }[];
}

Deno.test("the metrics of a node arrive at a collector, through Deno's own OpenTelemetry", async () => {
  const seen = new Map<string, Metric>();
  const complete = Promise.withResolvers<void>();
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  await using collector = Deno.serve(options, async (request) => {
    const isMetrics = new URL(request.url).pathname === "/v1/metrics";
    const body = await request.text();
    if (isMetrics) {
      const { resourceMetrics }: Export = JSON.parse(body);
      for (const { scopeMetrics } of resourceMetrics) {
        for (const { metrics } of scopeMetrics) {
          for (const metric of metrics) seen.set(metric.name, metric);
        }
      }
      if (seen.has("roomcast.eventloop.delay")) complete.resolve();
    }
    return Response.json({});
  });

  const script = new URL("_instrumented.ts", import.meta.url);
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", script.href],
    env: {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
      OTEL_METRIC_EXPORT_INTERVAL: "200",
    },
    stdin: "piped",
  }).spawn();
  await complete.promise;
  await child.stdin.close();
  assert((await child.status).success);

  const point = (name: string, attribute?: string) => {
    const metric = seen.get(name);
    const points = metric?.sum?.dataPoints ?? metric?.gauge?.dataPoints ?? [];
    const found = points.find(({ attributes }) =>
      attribute === undefined || attributes.some(({ value }) => value.stringValue === attribute)
    );
    return Number(found?.asInt ?? found?.asDouble);
  };
  assertEquals(point("messaging.client.sent.messages", "roomcast"), 3);
  assertEquals(point("roomcast.rooms.deliveries", "sent"), 3);
  assertEquals(point("roomcast.rooms.published"), 3);
  assertEquals(point("roomcast.mesh.peers"), 1);
  assertEquals(point("roomcast.rooms.open"), 1);
  assert(point("roomcast.mesh.io", "transmit") > 0);
  assertEquals(seen.get("roomcast.mesh.io")?.unit, "By");
  assertEquals(seen.get("messaging.client.sent.messages")?.sum?.isMonotonic, true);
  assert(Number(seen.get("roomcast.eventloop.delay")?.histogram?.dataPoints[0].count) > 0);
});
