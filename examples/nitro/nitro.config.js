import { defineConfig } from "nitro/config";

export default defineConfig({
  preset: "node-server",
  entry: "./entry.js",
  serverDir: "./",
  features: { websocket: true },
});
