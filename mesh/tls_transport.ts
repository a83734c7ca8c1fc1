import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, TLSSocket } from "node:tls";
import { makeCertificate } from "./certificate.ts";
import { systemRandom } from "./clock.ts";
import { tcpTransport } from "./tcp_transport.ts";
import { TlsConnection, type TlsEnd } from "./tls_connection.ts";
import type { Listener, Transport } from "./transport.ts";

/** Certificates of an operator's own, for nodes that are to be verified by them. */
export interface TlsOptions {
  /** This node's certificate in PEM, those that lead to an authority behind it. */
  cert: string;
  /** The private key to it in PEM. */
  key: string;
  /** Authorities, in PEM, that certificates of other nodes must come from. Default: Deno's. */
  caCerts?: readonly string[];
  /**
   * The host that certificates of other nodes must be for. Default: the host that was dialled, an IP
   * address or a name. One name for all lets them share one certificate, wherever they run.
   */
  serverName?: string;
}

/**
 * TLS over another transport, TCP unless told otherwise.
 *
 * Without options each listener makes itself an ephemeral certificate, and whoever dials verifies
 * none: what shows that nobody is in between is the handshake that follows, whose proofs are bound
 * to the certificate. With options certificates are verified besides.
 *
 * @throws {RangeError} if `cert` holds no certificate in PEM, or `key` is not the key to it.
 *
 * @example
 * ```ts
 * import { startMesh, tlsTransport } from "@roomcast/roomcast/mesh";
 *
 * // What startMesh does by itself if it is told nothing:
 * const transport = tlsTransport();
 * await using mesh = await startMesh({ name: "a@127.0.0.1:0", cookie: "0123456789abcdef", transport });
 * ```
 */
export function tlsTransport(options?: TlsOptions, over: Transport = tcpTransport): Transport {
  if (options) checkKey(options);
  return {
    listen: async (address) => {
      const pair = options ?? await makeCertificate(systemRandom);
      const end = await acceptingEnd(pair);
      return secureListener(await over.listen(address), end);
    },
    connect: async (address, { signal }) => {
      const inner = await over.connect(address, { signal });
      const connection = new TlsConnection(inner, diallingEnd(address.hostname, options));
      const cancel = () => connection.close();
      signal.addEventListener("abort", cancel, { once: true });
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
    // Without waiting for the handshake, in which a stranger may take his time.
    accept: async () => new TlsConnection(await inner.accept(), end),
    close: () => inner.close(),
  };
}

/** Nothing else does so before the first peer dials: `node:tls` does not look. */
function checkKey({ cert, key }: TlsOptions): void {
  let fits: boolean;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new RangeError("tls.cert and tls.key must be a certificate and its key in PEM", {
      cause,
    });
  }
  if (!fits) throw new RangeError("tls.key must be the private key to tls.cert, and is another");
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

function diallingEnd(hostname: string, options: TlsOptions | undefined): TlsEnd {
  const verification = options
    ? { ca: options.caCerts?.slice(), host: options.serverName ?? hostname }
    : { rejectUnauthorized: false };
  return {
    isServer: false,
    open: (stream) => connect({ ...verification, socket: stream }),
    // The certificate that this very connection uses, its key proven by the TLS handshake.
    binding: (socket) => sha256(socket.getPeerCertificate(true).raw),
  };
}

/** `node:tls` takes any stream of bytes; its types do not say so in every place. */
function asSocket(stream: Duplex): ConstructorParameters<typeof TLSSocket>[0] {
  return stream as ConstructorParameters<typeof TLSSocket>[0];
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
}
