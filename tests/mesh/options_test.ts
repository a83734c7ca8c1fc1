import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { systemClock, systemRandom } from "../../backplane/clock.ts";
import { MeshError } from "../../mesh/mesh_error.ts";
import { type MeshOptions, type MeshSettings, resolveOptions } from "../../mesh/options.ts";
import { tcpTransport } from "../../mesh/tcp_transport.ts";
import { FakeTimers } from "../_fake_timers.ts";

const MIB = 1024 * 1024;
const NAME = "chat-1@10.0.0.5:9001";
const COOKIE = "0123456789abcdef";

/** Options that are right but for `change`, which need not be: callers may use JavaScript. */
function resolve(change: Record<string, unknown> = {}): MeshSettings {
  return resolveOptions({ name: NAME, cookie: COOKIE, ...change } as MeshOptions);
}

/** Checks that `change` is refused with an error of `type` whose message holds all of `parts`. */
function assertRefused(
  type: typeof TypeError | typeof RangeError,
  change: Record<string, unknown>,
  ...parts: string[]
): void {
  const { message } = assertThrows(() => resolve(change), type) as Error;
  for (const part of parts) assertStringIncludes(message, part);
}

Deno.test("options other than name and cookie have the documented defaults", () => {
  const { transport, ...settings } = resolve();
  assertEquals(Object.keys(transport), ["listen", "connect"]);
  assertEquals(settings, {
    name: { name: NAME, hostname: "10.0.0.5", port: 9001 },
    local: "chat-1",
    cookies: [COOKIE],
    listen: { hostname: "10.0.0.5", port: 9001 },
    seeds: [],
    interest: "cluster",
    sharesPort: false,
    localTransport: undefined,
    maxMessageBytes: 16 * MIB,
    maxQueuedBytes: 16 * MIB,
    maxPeers: 256,
    maxPendingHandshakes: 64,
    maxHandshakesPerSecond: 20,
    handshakeTimeoutMs: 5_000,
    heartbeatIntervalMs: 10_000,
    heartbeatTimeoutMs: 5_000,
    forgetAfterMs: 600_000,
    allowMeshLang: false,
    features: 0b11111,
    signal: undefined,
    clock: systemClock,
    randomBytes: systemRandom,
  });
});

Deno.test("an undefined option counts as left out", () => {
  const { name: _name, cookie: _cookie, ...others } = allGiven();
  const undefineds = Object.fromEntries(Object.keys(others).map((key) => [key, undefined]));
  assertEquals(resolve(undefineds), resolve());
  assertEquals(resolve({ listen: { hostname: undefined, port: undefined } }), resolve());
});

Deno.test("options that are given are used unchanged", () => {
  const options = allGiven();
  const { name: _name, cookie, seeds: _seeds, observer: _observer, ...same } = options;
  const { sharesPort: _shares, localTransport: _localTransport, ...rest } = resolve({ ...options });
  const { name: _, local: _local, features, cookies, seeds, ...settings } = rest;
  assertEquals(settings, same);
  assertEquals(features, 0b111111);
  assertEquals(cookies, [cookie]);
  assertEquals(seeds, [{ hostname: "10.0.0.6", port: 9000 }]);
  assertStrictEquals(settings.transport, options.transport);
  assertStrictEquals(settings.signal, options.signal);
  assertStrictEquals(settings.clock, options.clock);
  assertStrictEquals(settings.randomBytes, options.randomBytes);
});

function allGiven(): Required<Omit<MeshOptions, "tls">> {
  return {
    name: NAME,
    cookie: "another cookie of ours",
    listen: { hostname: "0.0.0.0", port: 9002 },
    seeds: ["10.0.0.6"],
    interest: "room",
    observer: true,
    maxMessageBytes: 1_001,
    maxQueuedBytes: 1_002,
    maxPeers: 3,
    maxPendingHandshakes: 4,
    maxHandshakesPerSecond: 5,
    handshakeTimeoutMs: 1_005,
    heartbeatIntervalMs: 1_006,
    heartbeatTimeoutMs: 1_007,
    forgetAfterMs: 1_008,
    allowMeshLang: true,
    transport: { ...tcpTransport },
    signal: new AbortController().signal,
    clock: new FakeTimers(),
    randomBytes: (size) => new Uint8Array(size),
  };
}

// Name and place.

Deno.test("a name without a port has port 9000, where the node listens", () => {
  const { name, listen, local } = resolve({ name: "チャット@[::1]" });
  assertEquals(name, { name: "チャット@[::1]:9000", hostname: "::1", port: 9000 });
  assertEquals(listen, { hostname: "::1", port: 9000 });
  assertEquals(local, "チャット");
});

Deno.test("parts of listen that are left out come from the name", () => {
  const listen = (listen: MeshOptions["listen"]) => resolve({ listen }).listen;
  assertEquals(listen({}), { hostname: "10.0.0.5", port: 9001 });
  assertEquals(listen({ hostname: "0.0.0.0" }), { hostname: "0.0.0.0", port: 9001 });
  assertEquals(listen({ port: 0 }), { hostname: "10.0.0.5", port: 0 });
  assertEquals(listen({ hostname: "::", port: 65_535 }), { hostname: "::", port: 65_535 });
  assertEquals(resolve({ name: "a@h:0" }).listen, { hostname: "h", port: 0 });
});

Deno.test("a name that is not a string is a TypeError that shows an example", () => {
  for (const [name, type] of [[undefined, "undefined"], [null, "null"], [5, "number"], [{}, ""]]) {
    assertRefused(TypeError, { name }, "name", "chat-1@10.0.0.5:9000", `got ${type}`);
  }
});

Deno.test("a name that does not parse is a RangeError that shows it, caused by a MeshError", () => {
  for (const name of ["", "a@", "@h", "a b@h", "a@h:65536", "a@b@c", "a".repeat(256) + "@h"]) {
    assertRefused(RangeError, { name }, "name", JSON.stringify(name), "host:port");
    const { cause } = assertThrows(() => resolve({ name }), RangeError) as Error;
    assertInstanceOf(cause, MeshError);
    assertEquals((cause as MeshError).code, "invalid-address");
  }
});

Deno.test("an address without a local part is not a name", () => {
  for (const name of ["10.0.0.5:9000", "localhost", "[::1]:9000"]) {
    assertRefused(RangeError, { name }, "name", `"chat-1@${name}"`);
  }
});

Deno.test("a name with port 0 leaves room in its 255 bytes for the port that will be picked", () => {
  const longest = "a".repeat(247);
  assertEquals(resolve({ name: `${longest}@h:0` }).name.port, 0);
  assertEquals(resolve({ name: `${longest}a@h:1234` }).name.name.length, 255);
  assertRefused(RangeError, { name: `${longest}a@h:0` }, "name", "255");
});

Deno.test("a place to listen of the wrong shape is a TypeError", () => {
  for (const hostname of [null, 5, {}]) {
    assertRefused(TypeError, { listen: { hostname } }, "listen.hostname", describe(hostname));
  }
  for (const listen of [null, 5, "0.0.0.0:9000", () => {}]) {
    assertRefused(TypeError, { listen }, "listen", describe(listen));
  }
  for (const port of [null, "9000", 9000n]) {
    assertRefused(TypeError, { listen: { port } }, "listen.port", describe(port));
  }
});

function describe(value: unknown): string {
  if (value === null || typeof value !== "object") {
    return `got ${value === null ? null : typeof value}`;
  }
  return `got ${value.constructor.name}`;
}

// Cookies.

Deno.test("a cookie has 16 bytes of UTF-8 or more", () => {
  for (const cookie of ["x".repeat(16), "é".repeat(8), "🎉".repeat(4), "x".repeat(10_000)]) {
    assertEquals(resolve({ cookie }).cookies, [cookie]);
  }
  assertRefused(RangeError, { cookie: "" }, "cookie", "16", "got 0");
  assertRefused(RangeError, { cookie: "x".repeat(15) }, "cookie", "16", "got 15");
  assertRefused(RangeError, { cookie: "é".repeat(7) + "x" }, "cookie", "16", "got 15");
  assertRefused(RangeError, { cookie: "🎉".repeat(3) + "xxx" }, "cookie", "16", "got 15");
});

Deno.test("cookies in a list keep their order, and each of them must be valid", () => {
  const cookies = ["the new cookie 2", "the old cookie 1", "the old cookie 0"];
  assertEquals(resolve({ cookie: cookies }).cookies, cookies);
  assertRefused(RangeError, { cookie: [] }, "cookie", "empty");
  assertRefused(RangeError, { cookie: [COOKIE, "short"] }, "cookie", "got 5");
  assertRefused(TypeError, { cookie: [COOKIE, 5] }, "cookie", "got number");
  assertRefused(TypeError, { cookie: [[COOKIE]] }, "cookie", "got Array");
});

Deno.test("a cookie that is neither a string nor a list is a TypeError", () => {
  for (const cookie of [undefined, null, 5, {}, new Uint8Array(16), () => COOKIE]) {
    assertRefused(TypeError, { cookie }, "cookie", describe(cookie));
  }
});

Deno.test("a cookie with a lone surrogate is refused", () => {
  assertRefused(RangeError, { cookie: `${COOKIE}\ud800` }, "cookie", "surrogate");
  assertRefused(RangeError, { cookie: `\udc00${COOKIE}` }, "cookie", "surrogate");
});

Deno.test("a later change to a list of cookies has no effect", () => {
  const cookie = [COOKIE];
  const { cookies } = resolve({ cookie });
  cookie[0] = "too short";
  assertEquals(cookies, [COOKIE]);
});

Deno.test("property: no part of a cookie appears in an error", () => {
  // Of characters that no message has otherwise.
  const secret = fc.string({ unit: fc.constantFrom("♠", "♣", "\ud800"), maxLength: 30 });
  const other = fc.constantFrom<Record<string, unknown>>(
    {},
    { name: "nonsense" },
    { seeds: ["@"] },
    { maxPeers: 0 },
    { listen: { port: -1 } },
  );
  fc.assert(
    fc.property(fc.oneof(secret, fc.array(secret, { maxLength: 3 })), other, (cookie, change) => {
      try {
        resolve({ cookie, ...change });
      } catch (error) {
        for (let e: unknown = error; e instanceof Error; e = e.cause) {
          assert(!/[♠♣\ud800]/.test(`${e.message}${e.stack}`), e.message);
        }
      }
    }),
  );
});

// Seeds.

Deno.test("seeds are addresses or full names", () => {
  assertEquals(resolve({ seeds: ["10.0.0.6", "[::1]:80", "b@h"] }).seeds, [
    { hostname: "10.0.0.6", port: 9000 },
    { hostname: "::1", port: 80 },
    { hostname: "h", port: 9000, name: "b@h:9000" },
  ]);
});

Deno.test("a function of seeds is not asked before the node runs", () => {
  const seeds = () => {
    throw new Error("asked");
  };
  assertStrictEquals(resolve({ seeds }).seeds, seeds);
});

Deno.test("a bad seed is refused, and the error names it", () => {
  for (const seed of ["", "@", "a b", "h:99999", "a@b@c"]) {
    assertRefused(RangeError, { seeds: ["10.0.0.6", seed] }, "seeds", JSON.stringify(seed));
  }
  for (const seed of [undefined, null, 5, ["10.0.0.6"]]) {
    assertRefused(TypeError, { seeds: ["10.0.0.6", seed] }, "seeds", describe(seed));
  }
});

Deno.test("seeds that are neither a list nor a function are a TypeError", () => {
  for (const seeds of [null, 5, "10.0.0.6:9000", {}, new Set(["10.0.0.6"])]) {
    assertRefused(TypeError, { seeds }, "seeds", describe(seeds));
  }
});

// Numbers.

const TIMER_MAX = 2 ** 31 - 1;
const UNLIMITED = Number.MAX_SAFE_INTEGER;
const numbers: { option: keyof MeshOptions & keyof MeshSettings; min: number; max: number }[] = [
  { option: "maxMessageBytes", min: 512, max: 2 ** 32 - 1 },
  { option: "maxQueuedBytes", min: 1, max: UNLIMITED },
  { option: "maxPeers", min: 1, max: UNLIMITED },
  { option: "maxPendingHandshakes", min: 1, max: UNLIMITED },
  { option: "maxHandshakesPerSecond", min: 1, max: UNLIMITED },
  { option: "handshakeTimeoutMs", min: 1, max: TIMER_MAX },
  { option: "heartbeatIntervalMs", min: 1, max: TIMER_MAX },
  { option: "heartbeatTimeoutMs", min: 1, max: TIMER_MAX },
  { option: "forgetAfterMs", min: 1, max: UNLIMITED },
];

for (const { option, min, max } of numbers) {
  const range = max === UNLIMITED ? `of at least ${min}` : `from ${min} to ${max}`;

  Deno.test(`${option} is a whole number ${range}`, () => {
    for (const value of [min, min + 1, max - 1, max]) {
      assertEquals(resolve({ [option]: value })[option], value);
    }
    for (const value of [min - 1, max + 1, -1, 0, 1000.5, NaN, Infinity, -Infinity]) {
      assertRefused(RangeError, { [option]: value }, option, range, `got ${value}`);
    }
    for (const value of [null, "1000", 1000n, true, [1000], {}]) {
      assertRefused(TypeError, { [option]: value }, option, describe(value));
    }
  });
}

Deno.test("listen.port is a whole number from 0 to 65535", () => {
  for (const port of [0, 1, 65_535]) assertEquals(resolve({ listen: { port } }).listen.port, port);
  for (const port of [-1, 65_536, 0.5, NaN]) {
    assertRefused(RangeError, { listen: { port } }, "listen.port", `got ${port}`, "0", "65535");
  }
});

// Things with methods.

Deno.test("a transport, signal, clock or source of randomness of the wrong shape is a TypeError", () => {
  for (const value of [null, 5, "x"]) {
    for (const option of ["transport", "signal", "clock", "randomBytes"]) {
      assertRefused(TypeError, { [option]: value }, option, describe(value));
    }
  }
  assertRefused(TypeError, { transport: { connect: () => {} } }, "transport", "listen");
  assertRefused(TypeError, { clock: { now: () => 0 } }, "clock", "setTimeout");
  assertRefused(TypeError, { signal: new AbortController() }, "signal");
});

Deno.test("tls is left out, false, or certificates, and not for a transport that is given", () => {
  assertStrictEquals(resolve({ tls: false }).transport, tcpTransport);
  assertStrictEquals(resolve().transport, resolve({ tls: undefined }).transport);
  assertRefused(TypeError, { tls: true }, "tls must be an object with cert and key, or false");
  assertRefused(TypeError, { tls: {} }, "tls.cert must be a string", "undefined");
  assertRefused(TypeError, { tls: { cert: "" } }, "tls.key must be a string", "undefined");
  const strings = { cert: "", key: "" };
  assertRefused(TypeError, { tls: { ...strings, caCerts: "" } }, "tls.caCerts must be a list");
  assertRefused(TypeError, { tls: { ...strings, caCerts: [1] } }, "tls.caCerts must be a list");
  assertRefused(TypeError, { tls: { ...strings, serverName: 1 } }, "tls.serverName", "number");
  assertRefused(RangeError, { tls: strings }, "tls.cert must be a certificate in PEM");
  const transport = { ...tcpTransport };
  assertStrictEquals(resolve({ transport, tls: false }).transport, transport);
  assertRefused(TypeError, { transport, tls: strings }, "transport of your own", "tlsTransport");
});

Deno.test("a cookie may be short with allowMeshLang, but not empty", () => {
  assertEquals(resolve({ allowMeshLang: true, cookie: "x" }).cookies, ["x"]);
  assertRefused(RangeError, { allowMeshLang: true, cookie: "" }, "1 bytes or more");
  assertRefused(RangeError, { allowMeshLang: false, cookie: "x" }, "16 bytes or more");
  assertRefused(TypeError, { allowMeshLang: "yes" }, "allowMeshLang must be true or false");
});

Deno.test("options that are not an object are a TypeError that says so", () => {
  for (const options of [undefined, null, NAME]) {
    const run = () => resolveOptions(options as unknown as MeshOptions);
    assertStringIncludes((assertThrows(run, TypeError) as Error).message, "options");
  }
});
