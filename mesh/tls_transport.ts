import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, TLSSocket } from "node:tls";
import { isVersion3, makeCertificate } from "./certificate.ts";
import { systemRandom } from "../backplane/clock.ts";
import { tcpTransport } from "./tcp_transport.ts";
import { MeshError } from "./mesh_error.ts";
import { formatAddress } from "./node_name.ts";
import { requireTls } from "./platform.ts";
import { TlsConnection, type TlsEnd } from "./tls_connection.ts";
import type { Address, Listener, Transport } from "./transport.ts";

/** An operator's own certificates, by which nodes verify each other. */
export interface TlsOptions {
  /**
   * This node's certificate, X.509 version 3, in PEM, followed by any intermediate certificates.
   */
  cert: string;
  /** The private key of the certificate, in PEM. */
  key: string;
  /**
   * Authorities, in PEM, that must have issued the certificates of other nodes. Default: those that
   * the runtime trusts.
   */
  caCerts?: readonly string[];
  /**
   * The host that certificates of other nodes must be for. Default: the host that was dialled, an IP
   * address or a name. One name for all lets them share one certificate, wherever they run.
   */
  serverName?: string;
}

/**
 * TLS over another transport, by default TCP.
 *
 * Without options, each listener makes itself an ephemeral certificate, and diallers do not verify
 * it. The handshake that follows shows that nobody is in the middle, because its proofs are bound
 * to the certificate. With options, certificates are verified too.
 *
 * Deno must be 2.9.6 or later, otherwise `listen` and `connect` reject. When a TLS session is
 * resumed, earlier versions show a certificate that the connection does not use.
 *
 * @throws {RangeError} if `cert` or one of `caCerts` is not a certificate in PEM, if `cert` is not
 * of version 3, or if `key` is not its key.
 *
 * @example
 * ```ts
 * import { startMesh, tlsTransport } from "@roomcast/roomcast/mesh";
 *
 * // This is what startMesh does by default:
 * const transport = tlsTransport();
 * await using mesh = await startMesh({ name: "a@127.0.0.1:0", cookie: "0123456789abcdef", transport });
 * ```
 */
export function tlsTransport(options?: TlsOptions, over: Transport = tcpTransport): Transport {
  if (options) checkCertificates(options);
  return {
    listen: async (address) => {
      requireTls();
      const pair = options ?? await makeCertificate(systemRandom);
      const end = await acceptingEnd(pair);
      return secureListener(await over.listen(address), end);
    },
    connect: async (address, { signal }) => {
      requireTls();
      const inner = await over.connect(address, { signal });
      const connection = new TlsConnection(inner, diallingEnd(address, options));
      const cancel = () => connection.close();
      signal.addEventListener("abort", cancel, { once: true });
      // It may have been aborted between the last byte of `over` and now.
      if (signal.aborted) cancel();
      try {
        await connection.secured();
      } catch (error) {
        connection.close();
        throw error;
      } finally {
        signal.removeEventListener("abort", cancel);
      }
      return connection;
    },
  };
}

function secureListener(inner: Listener, end: TlsEnd): Listener {
  return {
    address: inner.address,
    // It does not wait for the handshake, in which a stranger may take any time.
    accept: async () => new TlsConnection(await inner.accept(), end),
    close: () => inner.close(),
    ref: () => inner.ref?.(),
    unref: () => inner.unref?.(),
  };
}

/** Checks certificates early: `node:tls` does not look at them before the first peer dials. */
function checkCertificates({ cert, key, caCerts = [] }: TlsOptions): void {
  const certificate = parse("tls.cert must be a certificate", () => new X509Certificate(cert));
  const privateKey = parse("tls.key must be a private key", () => createPrivateKey(key));
  if (!isVersion3(certificate.raw)) {
    throw new RangeError("tls.cert must be X.509 version 3, as openssl makes it with -extfile");
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new RangeError("tls.key must be the private key of tls.cert");
  }
  for (const text of caCerts) {
    parse("tls.caCerts must be certificates", () => new X509Certificate(text));
  }
}

function parse<T>(demand: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new RangeError(`${demand} in PEM`, { cause });
  }
}

async function acceptingEnd({ cert, key }: { cert: string; key: string }): Promise<TlsEnd> {
  const secureContext = createSecureContext({ cert, key });
  const binding = await sha256(new X509Certificate(cert).raw);
  return {
    isServer: true,
    open: (stream) => new TLSSocket(asSocket(stream), { isServer: true, secureContext }),
    binding: () => Promise.resolve(binding),
  };
}

function diallingEnd(address: Address, options: TlsOptions | undefined): TlsEnd {
  const verification = options
    ? { ca: options.caCerts?.slice(), host: options.serverName ?? address.hostname }
    : { rejectUnauthorized: false };
  return {
    isServer: false,
    open: (stream) => connect({ ...verification, socket: stream }),
    // The certificate of this connection. The TLS handshake has proven its key.
    binding: (socket) => {
      const raw: Uint8Array | undefined = socket.getPeerCertificate()?.raw;
      // The socket has been closed meanwhile. No test has caused it.
      if (raw === undefined) throw new Error("its certificate cannot be read");
      if (isVersion3(raw)) return sha256(raw);
      const peer = formatAddress(address);
      throw new MeshError(
        "untrusted-certificate",
        peer,
        `the certificate of ${peer} is not X.509 version 3, so its key has not been proven`,
      );
    },
  };
}

/** `node:tls` accepts any stream of bytes, but some of its types do not. */
function asSocket(stream: Duplex): ConstructorParameters<typeof TLSSocket>[0] {
  return stream as ConstructorParameters<typeof TLSSocket>[0];
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
}
