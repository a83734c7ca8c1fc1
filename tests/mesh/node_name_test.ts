import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { MeshError } from "../../mesh/mesh_error.ts";
import {
  DEFAULT_PORT,
  formatAddress,
  formatName,
  isSmallerName,
  isWildcardHost,
  parseNodeName,
  parsePeerName,
  parseTarget,
} from "../../mesh/node_name.ts";
import { text } from "../_arbitraries.ts";

/** What `text` is refused with, which must be a `MeshError` that shows it. */
function refusalOf(text: string): MeshError | undefined {
  try {
    parseTarget(text);
  } catch (error) {
    assertInstanceOf(error, MeshError);
    const refusal = error as MeshError;
    assertEquals([refusal.code, refusal.peer], ["invalid-address", text]);
    assertStringIncludes(refusal.message, JSON.stringify(text));
    return refusal;
  }
  return undefined;
}

function assertRefused(...texts: string[]): void {
  for (const text of texts) assert(refusalOf(text), `${JSON.stringify(text)} was taken`);
}

Deno.test("an address is a host and a port, and a name has a local part before them", () => {
  assertEquals(parseTarget("10.0.0.5:9001"), { hostname: "10.0.0.5", port: 9001 });
  assertEquals(parseTarget("chat.example.org:80"), { hostname: "chat.example.org", port: 80 });
  assertEquals(parseTarget("chat-1@10.0.0.5:9001"), {
    hostname: "10.0.0.5",
    port: 9001,
    name: "chat-1@10.0.0.5:9001",
  });
});

Deno.test("the port is 9000 if left out, and the full name says so", () => {
  assertEquals(DEFAULT_PORT, 9000);
  assertEquals(parseTarget("localhost"), { hostname: "localhost", port: 9000 });
  assertEquals(parseTarget("[::1]"), { hostname: "::1", port: 9000 });
  assertEquals(parseTarget("a@localhost").name, "a@localhost:9000");
  assertEquals(parseTarget("a@[::1]").name, "a@[::1]:9000");
});

Deno.test("an IPv6 host has brackets in text, and none in an address", () => {
  assertEquals(parseTarget("a@[fe80::1%2]:9001"), {
    hostname: "fe80::1%2",
    port: 9001,
    name: "a@[fe80::1%2]:9001",
  });
  assertEquals(parseTarget("[::ffff:10.0.0.5]:1").hostname, "::ffff:10.0.0.5");
  assertRefused("::1", "::1:9000", "a@::1", "[::1", "::1]", "[::1]9000", "[]:9000", "[", "]");
  assertRefused("[::1]:", "[::1]]:9000", "[[::1]]:9000", "[localhost]:9000", "x[::1]:9000");
});

Deno.test("a local part may be of any script", () => {
  for (const local of ["チャット", "ünïcode", "🎉", "a-b_c.d:e/f[g]", "\u{10ffff}", "\ue000"]) {
    assertEquals(parseTarget(`${local}@h:1`).name, `${local}@h:1`);
  }
});

Deno.test("a port is from 0 to 65535", () => {
  for (const port of [0, 1, 65_535]) {
    assertEquals(parseTarget(`h:${port}`).port, port);
    assertEquals(parseTarget(`a@h:${port}`).name, `a@h:${port}`);
  }
  assertRefused("h:65536", "h:99999", "h:100000", "h:-1", "h:+1", "h:1.5", "h:0x50", "h:1e3");
  assertRefused("h:", "a@h:", "h:http", "h:٣", "h:80:80");
});

Deno.test("one port has one name, however its digits are written", () => {
  assertEquals(parseTarget("a@h:00080"), { hostname: "h", port: 80, name: "a@h:80" });
  assertRefused("h:000080");
});

Deno.test("no part of a name may be empty", () => {
  assertRefused("", "@", ":", ":9000", "@h", "@h:9000", "a@", "a@:9000");
});

Deno.test("a name has exactly one @, between local part and host", () => {
  assertRefused("a@b@h:9000", "a@@h:9000", "a@h@", "@a@h", "a@h:9000@");
});

Deno.test("a name contains no spaces, control characters or lone surrogates", () => {
  const characters = [" ", "\t", "\n", "\r", "\0", "\x7f", "\x85", "\u2028", "\u3000", "\ufeff"];
  for (const character of [...characters, "\ud800", "\udfff"]) {
    for (const name of ["a@h:9000", "h:9000"]) {
      for (let at = 0; at <= name.length; at++) {
        assertRefused(name.slice(0, at) + character + name.slice(at));
      }
    }
  }
});

Deno.test("a host contains no character that begins a path or a URL", () => {
  assertRefused("http://h:9000", "h/path", "h:9000/", "a@h/b:1");
});

Deno.test("a name has at most 255 bytes of UTF-8", () => {
  const fits = (local: string) => assertEquals(parseTarget(`${local}@h:9000`).name?.length, 255);
  fits("a".repeat(248));
  assertRefused(`${"a".repeat(249)}@h:9000`);

  const wide = `${"é".repeat(124)}@h:9000`;
  assertEquals(parseTarget(wide).name, wide);
  assertRefused(`${"é".repeat(124)}a@h:9000`, `${"🎉".repeat(62)}a@h:9000`);

  assertEquals(parseTarget(`${"h".repeat(250)}:9000`).hostname.length, 250);
  assertRefused(`${"h".repeat(251)}:9000`);
});

Deno.test("the limit is that of the full name, so a port that was left out counts", () => {
  assertEquals(parseTarget(`${"a".repeat(248)}@h`).name?.length, 255);
  assertRefused(`${"a".repeat(249)}@h`, `${"a".repeat(253)}@h`, "h".repeat(251));
});

Deno.test("the name that a node gives to others is complete and in canonical form", () => {
  const name = "チャット@[::1]:9000";
  assertEquals(parseNodeName(name), { hostname: "::1", port: 9000, name });
  for (const other of ["", "h:9000", "a@h", "a@h:09000", "a@h:", "a@b@h:9000", "a@[::1]"]) {
    const error = assertThrows(() => parseNodeName(other), MeshError) as MeshError;
    assertEquals([error.code, error.peer], ["invalid-address", other]);
    assertStringIncludes(error.message, JSON.stringify(other));
  }
});

Deno.test("the text of an address has brackets only around IPv6", () => {
  assertEquals(formatAddress({ hostname: "10.0.0.5", port: 9000 }), "10.0.0.5:9000");
  assertEquals(formatAddress({ hostname: "::1", port: 0 }), "[::1]:0");
  assertEquals(formatName("a", { hostname: "::1", port: 9000 }), "a@[::1]:9000");
});

const hostname = fc.oneof(
  fc.domain(),
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom("localhost", "h", "部屋.example"),
).filter((hostname) => !isWildcardHost(hostname));
const port = fc.oneof(fc.constantFrom(0, 1, 9000, 65_535), fc.nat({ max: 65_535 }));
const local = text.filter((text) => !/[\s\p{Cc}@]/u.test(text) && text !== "");

Deno.test("property: a formatted name is parsed back, if it is short enough", () => {
  fc.assert(
    fc.property(local, fc.record({ hostname, port }), (local, address) => {
      const name = formatName(local, address);
      const isTooLong = new TextEncoder().encode(name).length > 255;
      if (isTooLong || isWildcardHost(address.hostname)) return assertRefused(name);
      assertEquals(parseTarget(name), { ...address, name });
      assertEquals(parseTarget(formatAddress(address)), address);
    }),
  );
});

Deno.test("property: a text is either refused or parsed to a name that parses to itself", () => {
  const pieces = fc.array(
    fc.oneof(
      fc.constantFrom("@", ":", "[", "]", "::1", "[::1]", "h", "a", "9000", "0", "65536", ".", "%"),
      text,
      fc.string({ unit: "binary", maxLength: 3 }),
    ),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(pieces, (pieces) => {
      const input = pieces.join("");
      if (refusalOf(input)) return;
      const target = parseTarget(input);
      assertEquals(parseTarget(target.name ?? formatAddress(target)), target);
      if (target.name !== undefined) assertEquals(parseNodeName(target.name), target);
      assertEquals(target.name === undefined, !input.includes("@"));
    }),
    { numRuns: 500 },
  );
});

// The order of names.

function compareBytes(a: string, b: string): number {
  const [left, right] = [a, b].map((name) => [...new TextEncoder().encode(name)]);
  const at = left.findIndex((byte, i) => byte !== right[i]);
  return at < 0 ? left.length - right.length : left[at] - (right[at] ?? -1);
}

Deno.test("names are ordered by their bytes", () => {
  assert(isSmallerName("a@h:9000", "b@h:9000"));
  assert(!isSmallerName("b@h:9000", "a@h:9000"));
  assert(isSmallerName("B", "a"));
  assert(isSmallerName("z", "é"));
  assert(isSmallerName("a@h:10000", "a@h:9000"));
});

Deno.test("the beginning of a name is smaller than the name, and nothing is smaller than itself", () => {
  assert(isSmallerName("a", "aa"));
  assert(!isSmallerName("aa", "a"));
  assert(isSmallerName("", "\0"));
  for (const name of ["", "a", "🎉"]) assert(!isSmallerName(name, name));
});

Deno.test("characters beyond U+FFFF are greater than all below, unlike in UTF-16", () => {
  for (const small of ["\ue000", "\ufeff", "\uffff"]) {
    for (const great of ["\u{10000}", "🎉", "\u{10ffff}"]) {
      assert(great < small, "in UTF-16 it is the other way round");
      assert(isSmallerName(small, great));
      assert(!isSmallerName(great, small));
    }
  }
});

/** Pairs that are alike to begin with, and often differ where UTF-16 and UTF-8 disagree. */
const tricky = fc.string({
  unit: fc.constantFrom("a", "\0", "é", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"),
  maxLength: 4,
});
const pair = fc.oneof(
  fc.tuple(text, text),
  fc.tuple(tricky, tricky),
  fc.tuple(text, tricky, tricky).map(([start, a, b]) => [start + a, start + b]),
);

Deno.test("property: the order is that of the bytes, for every two texts", () => {
  fc.assert(
    fc.property(pair, ([a, b]) => {
      assertEquals(isSmallerName(a, b), compareBytes(a, b) < 0);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("property: the order is strict and total", () => {
  const any = fc.oneof(text, tricky);
  fc.assert(
    fc.property(any, any, any, (a, b, c) => {
      assert(!isSmallerName(a, a));
      assertEquals(isSmallerName(a, b) || isSmallerName(b, a), a !== b);
      assert(!(isSmallerName(a, b) && isSmallerName(b, a)));
      if (isSmallerName(a, b) && isSmallerName(b, c)) assert(isSmallerName(a, c));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a peer's name may lack its port, or have an IPv6 host without brackets, and stays as it is", () => {
  const cases: [string, string, number][] = [
    ["m@host", "host", 9000],
    ["m@host:80", "host", 80],
    ["m@[::1]:80", "::1", 80],
    ["m@::1", "::1", 9000],
    ["m@::1:9001", "::1", 9001],
    ["m@2001:db8:0:0:0:0:0:1", "2001:db8:0:0:0:0:0:1", 9000],
    ["m@2001:db8:0:0:0:0:0:1:80", "2001:db8:0:0:0:0:0:1", 80],
  ];
  for (const [name, hostname, port] of cases) {
    assertEquals(parsePeerName(name), { hostname, port, name });
  }
  for (const name of ["host:80", "m@", "@host", "m@h:99999", "m@::1:99999", "m@a:b:c", "m@::"]) {
    assertThrows(() => parsePeerName(name), MeshError);
  }
});
