import { defineWebSocketHandler } from "nitro/h3";

export default defineWebSocketHandler({
  open: (peer) => peer.subscribe("chat"),
  message: (peer, { rawData }) => peer.publish("chat", rawData),
});
