import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Presence } from "../../presence/mod.ts";
import { Rooms } from "../../rooms/mod.ts";
import { FakeSocket } from "../rooms/_fake_socket.ts";
import { scrape, SOURCES } from "./_prometheus.ts";

/** The samples in Prometheus's text, by name and labels; those of the scope are left out. */
function samplesOf(text: string): Record<string, number> {
  const samples: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match === null || !/^(roomcast|messaging)_/.test(match[1])) continue;
    const labels = match[2].split(",").filter((label) => !label.startsWith("otel_scope_"));
    samples[[match[1], ...labels].join(" ")] = Number(match[3]);
  }
  return samples;
}

Deno.test("OpenTelemetry's SDK and its Prometheus exporter take every metric", async () => {
  const text = await scrape(SOURCES);
  const samples = samplesOf(text);
  const expected = {
    'messaging_client_sent_messages_total messaging_system="roomcast"': 1,
    'messaging_client_consumed_messages_total messaging_system="roomcast"': 2,
    "roomcast_mesh_dropped_total": 3,
    "roomcast_mesh_missed_total": 4,
    "roomcast_mesh_malformed_total": 5,
    'roomcast_mesh_io_total network_io_direction="receive"': 6,
    'roomcast_mesh_io_total network_io_direction="transmit"': 7,
    "roomcast_mesh_peers": 2,
    "roomcast_mesh_queued": 7,
    'roomcast_rooms_deliveries_total roomcast_outcome="sent"': 10,
    'roomcast_rooms_deliveries_total roomcast_outcome="slow"': 11,
    'roomcast_rooms_deliveries_total roomcast_outcome="failed"': 12,
    "roomcast_rooms_published_total": 13,
    "roomcast_rooms_received_total": 14,
    "roomcast_rooms_missed_total": 15,
    "roomcast_rooms_open": 8,
    "roomcast_sockets": 9,
    'roomcast_presence_entries roomcast_place="local"': 16,
    'roomcast_presence_entries roomcast_place="remote"': 17,
    "roomcast_eventloop_delay_count": 10,
    "roomcast_eventloop_delay_sum": 0,
  };
  const isBucket = (name: string) => name.startsWith("roomcast_eventloop_delay_bucket");
  const [buckets, others] = [true, false].map((wanted) => {
    return Object.entries(samples).filter(([name]) => isBucket(name) === wanted);
  });
  assertEquals(Object.fromEntries(others), expected);
  assertEquals(buckets.length, 12);
  assert(buckets.every(([, count]) => count === 10));
  assertStringIncludes(text, "# HELP roomcast_sockets Sockets in a room.");
  assertEquals(text.includes("description missing"), false);
});

Deno.test("the rooms, sockets and presence entries of a node are counted", async () => {
  using rooms = new Rooms();
  using presence = new Presence(rooms);
  const [ann, bob] = [new FakeSocket(), new FakeSocket()];
  presence.track(ann, "lobby", "ann");
  presence.track(ann, "hall", "ann");
  presence.track(bob, "lobby", "bob");
  rooms.broadcast("lobby", "hello");
  const samples = samplesOf(await scrape({ rooms, presence }));
  assertEquals(samples["roomcast_sockets"], 2);
  assertEquals(samples["roomcast_rooms_open"], 2);
  assertEquals(samples['roomcast_rooms_deliveries_total roomcast_outcome="sent"'], 2);
  assertEquals(samples['roomcast_presence_entries roomcast_place="local"'], 3);
  assertEquals(samples['roomcast_presence_entries roomcast_place="remote"'], 0);
});
