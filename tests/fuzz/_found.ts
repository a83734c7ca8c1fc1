/** What fuzzing has found, each with the input that showed it. */
export interface Found {
  readonly what: string;
  readonly target: string;
  readonly hex: string;
}

export const FOUND: readonly Found[] = [
  {
    what: "a TLS record from a stranger had 64 KiB of memory taken for it, where a handshake has 4",
    target: "acceptor",
    hex: "00160300ef37",
  },
  {
    what: "a plain node's answer to TLS, if not taken in one write, was cut short",
    target: "acceptor",
    hex: "ff1603010000",
  },
];
