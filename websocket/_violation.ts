/** The client has broken the protocol, or a limit: the connection fails with a close code. */
export class Violation extends Error {
  override readonly name = "Violation";
  /** RFC 6455, section 7.4.1. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export const PROTOCOL_ERROR = 1002;
export const INVALID_DATA = 1007;
export const TOO_BIG = 1009;
