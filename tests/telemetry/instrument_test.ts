import { assertEquals, assertThrows } from "@std/assert";
import { instrument, type Meter, type ObservableResult } from "../../telemetry/mod.ts";
import { FakeTimers } from "../_fake_timers.ts";
import { SOURCES } from "./_prometheus.ts";

/** A meter that collects when it is told to. */
class FakeMeter implements Meter {
  readonly recorded: number[] = [];
  readonly #callbacks = new Map<(result: ObservableResult) => void, string>();

  createObservableCounter(name: string) {
    return this.#observable(name);
  }
  createObservableGauge(name: string) {
    return this.#observable(name);
  }
  createHistogram() {
    return { record: (value: number) => void this.recorded.push(value) };
  }
  #observable(name: string) {
    return {
      addCallback: (callback: (result: ObservableResult) => void) => {
        this.#callbacks.set(callback, name);
      },
      removeCallback: (callback: (result: ObservableResult) => void) => {
        this.#callbacks.delete(callback);
      },
    };
  }
  collect(): Record<string, number> {
    const values: Record<string, number> = {};
    for (const [callback, name] of this.#callbacks) {
      callback({
        observe(value, attributes = {}) {
          const labels = Object.entries(attributes).filter(([key]) => key !== "messaging.system");
          values[[name, ...labels.map(([, label]) => label)].join(" ")] = value;
        },
      });
    }
    return values;
  }
}

const { mesh, rooms, presence } = SOURCES;

Deno.test("instrument reads every metric at each collection", () => {
  const meter = new FakeMeter();
  const clock = new FakeTimers();
  using _metrics = instrument(meter, { mesh, rooms, presence }, { clock });
  assertEquals(meter.collect(), {
    "messaging.client.sent.messages": 1,
    "messaging.client.consumed.messages": 2,
    "roomcast.mesh.dropped": 3,
    "roomcast.mesh.missed": 4,
    "roomcast.mesh.malformed": 5,
    "roomcast.mesh.io receive": 6,
    "roomcast.mesh.io transmit": 7,
    "roomcast.mesh.peers": 2,
    "roomcast.mesh.queued": 7,
    "roomcast.rooms.deliveries sent": 10,
    "roomcast.rooms.deliveries slow": 11,
    "roomcast.rooms.deliveries failed": 12,
    "roomcast.rooms.published": 13,
    "roomcast.rooms.received": 14,
    "roomcast.rooms.missed": 15,
    "roomcast.rooms.open": 8,
    "roomcast.sockets": 9,
    "roomcast.presence.entries local": 16,
    "roomcast.presence.entries remote": 17,
  });
});

Deno.test("instrument measures only what it is given", () => {
  const meter = new FakeMeter();
  using _metrics = instrument(meter, { rooms }, { clock: new FakeTimers() });
  const names = Object.keys(meter.collect());
  assertEquals(names.filter((name) => !/^roomcast\.(rooms|sockets)/.test(name)), []);
});

Deno.test("instrument records in seconds how late the event loop is", () => {
  const meter = new FakeMeter();
  const clock = new FakeTimers();
  let lateMs = 0;
  const late = {
    now: () => clock.now() + lateMs,
    setTimeout: clock.setTimeout.bind(clock),
    clearTimeout: clock.clearTimeout.bind(clock),
  };
  using _metrics = instrument(meter, {}, { clock: late });
  clock.advance(100);
  lateMs = 250;
  clock.advance(100);
  clock.advance(100);
  assertEquals(meter.recorded, [0, 0.25, 0]);
});

Deno.test("dispose ends every callback and the timer", () => {
  const meter = new FakeMeter();
  const clock = new FakeTimers();
  const metrics = instrument(meter, { mesh, rooms, presence }, { clock });
  metrics[Symbol.dispose]();
  metrics[Symbol.dispose]();
  assertEquals(meter.collect(), {});
  assertEquals(clock.pending, 0);
});

Deno.test("instrument refuses a value that is not a meter, and sources that are not an object", () => {
  const meter = {
    createObservableCounter: () => {},
    createObservableGauge: () => {},
    createHistogram: () => {},
  };
  assertThrows(() => instrument({} as never, {}), TypeError, "meter must have a method");
  assertThrows(() => instrument(meter as never, null as never), TypeError, "sources must be");
});
