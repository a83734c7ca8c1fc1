/** The files of the page, read once when the node starts, and the headers that keep it to itself. */

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

/** Answers requests for the page: a function from request to response. */
export async function loadStaticFiles(
  pages: readonly string[],
): Promise<(request: Request) => Response> {
  const files = new Map<string, { type: string; body: string }>();
  for (const name of FILES) {
    const type = TYPES[name.slice(name.indexOf(".") + 1)];
    files.set(`/${name}`, { type, body: await Deno.readTextFile(new URL(name, import.meta.url)) });
  }
  return (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("Only GET and HEAD.\n", {
        status: 405,
        headers: { ...COMMON_HEADERS, allow: "GET, HEAD" },
      });
    }
    const url = new URL(request.url);
    const file = files.get(url.pathname === "/" ? "/page.html" : url.pathname);
    if (file === undefined) {
      return new Response("There is nothing here.\n", { status: 404, headers: COMMON_HEADERS });
    }
    return new Response(request.method === "HEAD" ? null : file.body, {
      headers: {
        ...COMMON_HEADERS,
        "content-type": file.type,
        "content-security-policy": contentSecurityPolicy(url.host, pages),
      },
    });
  };
}

const COMMON_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/** Nothing from elsewhere, and WebSockets to the nodes of this chat alone. */
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
