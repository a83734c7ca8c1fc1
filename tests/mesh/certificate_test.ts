import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isVersion3, makeCertificate } from "../../mesh/certificate.ts";
import { systemRandom } from "../../backplane/clock.ts";

const hasOpenssl = await new Deno.Command("openssl", { args: ["version"], stdout: "null" })
  .output().then(({ success }) => success, () => false);
if (!hasOpenssl && Deno.env.get("CI")) throw new Error("openssl is missing");

async function openssl(args: string[], input: string): Promise<string> {
  const options = { args, stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  const child = new Deno.Command("openssl", options).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { stdout, stderr } = await child.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test({
  name: hasOpenssl
    ? "openssl reads the certificate, and finds it signed by its own key and never to expire"
    : "(skipped: apt-get install openssl) openssl reads the certificate",
  ignore: !hasOpenssl,
  async fn() {
    const { cert } = await makeCertificate(systemRandom);
    const text = await openssl(["x509", "-text", "-noout"], cert);
    for (
      const part of [
        "Version: 3 (0x2)",
        "Signature Algorithm: ecdsa-with-SHA256",
        "Issuer: CN = roomcast",
        "Not Before: Jan  1 00:00:00 2000 GMT",
        "Not After : Dec 31 23:59:59 9999 GMT",
        "Subject: CN = roomcast",
        "NIST CURVE: P-256",
        "DNS:roomcast",
      ]
    ) assertStringIncludes(text.replace(/CN=/g, "CN = "), part);
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(path, cert);
      const verified = await openssl(["verify", "-x509_strict", "-CAfile", path], cert);
      assertStringIncludes(verified, "stdin: OK");
    } finally {
      await Deno.remove(path);
    }
  },
});

Deno.test("every certificate has a key, a serial number and a signature of its own, all well encoded", async () => {
  const serials = new Set<string>();
  const rounds = 600;
  for (let i = 0; i < rounds; i++) {
    // Of so many signatures some have an r or s that is shorter than its 32 bytes.
    const { cert, key } = await makeCertificate(systemRandom);
    const certificate = new X509Certificate(cert);
    assert(certificate.verify(certificate.publicKey));
    assert(certificate.checkPrivateKey(createPrivateKey(key)));
    serials.add(certificate.serialNumber);
  }
  assertEquals(serials.size, rounds);
});

Deno.test("the serial number is positive and 16 bytes long, whatever the random bytes", async () => {
  for (const byte of [0x00, 0x7f, 0x80, 0xff]) {
    const { cert } = await makeCertificate((size) => new Uint8Array(size).fill(byte));
    const { serialNumber } = new X509Certificate(cert);
    assertEquals(serialNumber.length, 32);
    assert(parseInt(serialNumber.slice(0, 2), 16) < 0x80, serialNumber);
  }
});

Deno.test("a rustls client that trusts the certificate verifies it by its name", async () => {
  const pair = await makeCertificate(systemRandom);
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...pair });
  const { port } = listener.addr;
  const serving = (async () => {
    using connection = await listener.accept();
    await connection.write(Uint8Array.of(7));
    await connection.read(new Uint8Array(1));
  })();
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
  using client = await Deno.startTls(tcp, { hostname: "roomcast", caCerts: [pair.cert] });
  const buffer = new Uint8Array(1);
  await client.read(buffer);
  assertEquals(buffer, Uint8Array.of(7));
  client.close();
  await serving;
});

Deno.test("two certificates differ in every part that is a node's own", async () => {
  const [one, two] = await Promise.all([
    makeCertificate(systemRandom),
    makeCertificate(systemRandom),
  ]);
  assertNotEquals(one.cert, two.cert);
  assertNotEquals(one.key, two.key);
  assertEquals(new X509Certificate(one.cert).subject, new X509Certificate(two.cert).subject);
});

Deno.test("the version of a certificate is found after lengths in short and in long form", () => {
  const version = [0xa0, 3, 2, 1];
  for (const [number, isThird] of [[2, true], [1, false]] as const) {
    const body = [...version, number];
    assertEquals(isVersion3(Uint8Array.of(0x30, 7, 0x30, 5, ...body)), isThird);
    assertEquals(isVersion3(Uint8Array.of(0x30, 0x82, 0, 8, 0x30, 0x81, 5, ...body)), isThird);
  }
  assertEquals(isVersion3(new Uint8Array()), false);
});
