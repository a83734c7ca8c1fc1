import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { dnsSeeds, type ResolveDns } from "../../mod.ts";
import { linkedTo, nextEvent, startNode } from "./_cluster.ts";
import { type Records, startNameServer } from "./_name_server.ts";

const HOST = "rooms.internal";

/** A name server with these records; an `Error` is what a look-up rejects with. */
function nameServer(records: Record<"A" | "AAAA", string[] | Error>): ResolveDns {
  return (hostname, recordType) => {
    const answer = hostname === HOST ? records[recordType] : new Deno.errors.NotFound();
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
}

Deno.test("all addresses of a host are seeds, with the port, IPv6 ones in brackets", async () => {
  const resolve = nameServer({ A: ["10.0.0.6", "10.0.0.5"], AAAA: ["fdaa::3", "fdaa::10"] });
  assertEquals(
    await dnsSeeds(HOST, 9000, { resolve })(),
    ["10.0.0.5:9000", "10.0.0.6:9000", "[fdaa::10]:9000", "[fdaa::3]:9000"],
  );
});

Deno.test("the records are looked up each time", async () => {
  const records: Record<"A" | "AAAA", string[]> = { A: ["10.0.0.5"], AAAA: [] };
  const seeds = dnsSeeds(HOST, 9000, { resolve: nameServer(records) });
  assertEquals(await seeds(), ["10.0.0.5:9000"]);
  records.A = ["10.0.0.7", "10.0.0.8"];
  assertEquals(await seeds(), ["10.0.0.7:9000", "10.0.0.8:9000"]);
});

Deno.test("addresses stay in use until there are others", async () => {
  const records: Record<"A" | "AAAA", string[]> = { A: ["10.0.0.5"], AAAA: ["fdaa::3"] };
  const seeds = dnsSeeds(HOST, 9000, { resolve: nameServer(records) });
  assertEquals(await seeds(), ["10.0.0.5:9000", "[fdaa::3]:9000"]);
  [records.A, records.AAAA] = [[], []];
  assertEquals(await seeds(), ["10.0.0.5:9000", "[fdaa::3]:9000"]);
  records.AAAA = ["fdaa::4"];
  assertEquals(await seeds(), ["[fdaa::4]:9000"]);
});

Deno.test("a host without addresses of one kind, or of any, is not an error", async () => {
  const none = new Deno.errors.NotFound("no records");
  const only = dnsSeeds(HOST, 1, { resolve: nameServer({ A: none, AAAA: ["fdaa::3"] }) });
  assertEquals(await only(), ["[fdaa::3]:1"]);
  const empty = dnsSeeds(HOST, 1, { resolve: nameServer({ A: none, AAAA: [] }) });
  assertEquals(await empty(), []);
});

Deno.test("a look-up that fails is a failure, unless the other kind of address is there", async () => {
  const failed = new Error("the name server does not answer");
  const none = new Deno.errors.NotFound();
  const seeds = (A: string[] | Error, AAAA: string[] | Error) =>
    dnsSeeds(HOST, 1, { resolve: nameServer({ A, AAAA }) })();
  assertEquals(await seeds(["10.0.0.5"], failed), ["10.0.0.5:1"]);
  for (const other of [none, [], failed]) {
    assertEquals(await assertRejects(() => seeds(failed, other)), failed);
    assertEquals(await assertRejects(() => seeds(other, failed)), failed);
  }
});

Deno.test("an argument of the wrong type or range is refused at once, and the error names it", () => {
  for (const port of [0, 65_536, 1.5, NaN]) {
    assertThrows(() => dnsSeeds(HOST, port), RangeError, "port must be");
  }
  for (const port of [undefined, "9000"]) {
    assertThrows(() => dnsSeeds(HOST, port as never), TypeError, "port must be a number");
  }
  assertThrows(() => dnsSeeds(1 as never, 9000), TypeError, "hostname must be a string");
  assertThrows(() => dnsSeeds(HOST, 9000, null as never), TypeError, "options must be an object");
  assertThrows(() => dnsSeeds(HOST, 9000, { resolve: 1 as never }), TypeError, "resolve must be");
});

Deno.test("a node finds the cluster by a host name, and keeps looking while nobody is there", async () => {
  await using first = await startNode("first");
  const records: Record<"A" | "AAAA", string[] | Error> = { A: new Error("down"), AAAA: [] };
  const seeds = dnsSeeds(HOST, first.address.port, { resolve: nameServer(records) });
  await using second = await startNode("second", { seeds });
  const { address, code } = await nextEvent(second, "refused");
  assertEquals([address, code], ["seeds", "seeds-failed"]);
  records.A = ["127.0.0.1"];
  await linkedTo(second, [first.name]);
});

Deno.test("a real name server gives the same results through Deno", async () => {
  let records: Records = {};
  await using server = await startNameServer(() => records);
  const nameServer = { ipAddr: "127.0.0.1", port: server.port };
  const resolve: ResolveDns = (hostname, recordType) =>
    Deno.resolveDns(hostname, recordType, { nameServer });
  const seeds = dnsSeeds(`${HOST}.`, 9000, { resolve });
  records = { A: [[10, 0, 0, 5], [10, 0, 0, 6]], AAAA: [[0xfd, 0xaa, ...Array(13).fill(0), 3]] };
  assertEquals(await seeds(), ["10.0.0.5:9000", "10.0.0.6:9000", "[fdaa::3]:9000"]);
  records = { A: [[10, 0, 0, 5]] };
  assertEquals(await seeds(), ["10.0.0.5:9000"]);
  // Deno cannot tell these from each other, so none of them takes away what was known.
  for (records of [{}, "no such name", "failure"] satisfies Records[]) {
    assertEquals(await seeds(), ["10.0.0.5:9000"]);
    assertEquals(await dnsSeeds(`${HOST}.`, 9000, { resolve })(), []);
  }
});
