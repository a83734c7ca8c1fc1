/** The files of the page, read once when the node starts, with their security headers. */

import type { IncomingMessage, ServerResponse } from "node:http";

const FILES = [
  "page.html",
  "page.css",
  "page.js",
  "connection.js",
  "names.js",
  "outbox.js",
  "room_log.js",
];

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** Reads the files. Returns a handler that answers requests for them. */
export async function loadStaticFiles(
  pages: readonly string[],
): Promise<(request: IncomingMessage, response: ServerResponse) => void> {
  const files = new Map<string, { type: string; body: string }>();
  for (const name of FILES) {
    const type = TYPES[name.slice(name.indexOf(".") + 1)];
    files.set(`/${name}`, { type, body: await Deno.readTextFile(new URL(name, import.meta.url)) });
  }
  return ({ method, url = "/", headers }, response) => {
    const answer = (status: number, body: string, headers: Record<string, string> = {}) => {
      response.writeHead(status, { ...COMMON_HEADERS, ...headers }).end(body);
    };
    if (method !== "GET" && method !== "HEAD") {
      return answer(405, "Only GET and HEAD.\n", { allow: "GET, HEAD" });
    }
    const [path] = url.split("?");
    if (path === "/chat") return answer(426, "This is for WebSockets.\n", { upgrade: "websocket" });
    const file = files.get(path === "/" ? "/page.html" : path);
    if (file === undefined) return answer(404, "There is nothing here.\n");
    answer(200, file.body, {
      "content-type": file.type,
      "content-security-policy": contentSecurityPolicy(headers.host ?? "", pages),
    });
  };
}

const COMMON_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/** Allows nothing from other sites, and WebSockets only to the nodes of this chat. */
function contentSecurityPolicy(host: string, pages: readonly string[]): string {
  const origins = pages.map((page) => page.replace(/^http/, "ws"));
  // Older browsers do not count a WebSocket to the page's own host as 'self'.
  const sockets = new Set([`ws://${host}`, `wss://${host}`, ...origins]);
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src data:",
    `connect-src 'self' ${[...sockets].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}
