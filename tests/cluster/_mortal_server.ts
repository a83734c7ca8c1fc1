/** The example for several cores, with a way to end one worker: `/die/NAME` at the port of `deno serve`. */

import server from "../../examples/parallel/server.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    const response = server.fetch();
    const { worker }: { worker: string } = await response.clone().json();
    const [, action, name] = new URL(request.url).pathname.split("/");
    if (action === "die" && decodeURIComponent(name) === worker) {
      // Once the answer is out. What is thrown here ends the worker, and nothing is said before.
      setTimeout(() => {
        throw new Error("this worker was told to die");
      }, 100);
    }
    return response;
  },
} satisfies Deno.ServeDefaultExport;
