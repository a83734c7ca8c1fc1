import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { createServer } from "node:http";
import { instrument, type InstrumentSources } from "../../telemetry/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";

/** Sources with a different number for each metric. */
export const SOURCES: Required<InstrumentSources> = {
  mesh: {
    peers: [{ queuedBytes: 3 }, { queuedBytes: 4 }],
    totals: {
      published: 1,
      received: 2,
      dropped: 3,
      missed: 4,
      malformed: 5,
      bytesIn: 6,
      bytesOut: 7,
    },
  },
  rooms: {
    roomCount: 8,
    socketCount: 9,
    totals: { sent: 10, slow: 11, failed: 12, published: 13, received: 14, missed: 15 },
  },
  presence: { localCount: 16, remoteCount: 17 },
};

/** What Prometheus is told of sources, with OpenTelemetry's own SDK and exporter in between. */
export async function scrape(sources: InstrumentSources): Promise<string> {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const provider = new MeterProvider({ readers: [exporter] });
  const clock = new FakeTimers();
  using _metrics = instrument(provider.getMeter("roomcast"), sources, { clock });
  clock.advance(1_000);
  const server = createServer((request, response) => {
    exporter.getMetricsRequestHandler(request, response);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const headers = { connection: "close" };
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers });
  const text = await response.text();
  await new Promise((resolve) => server.close(resolve));
  await provider.shutdown();
  return text;
}
