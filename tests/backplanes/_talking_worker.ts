/** A worker that says a number every turn, to whom is there. */

import { broadcastChannelBackplane } from "../../backplanes/broadcast_channel.ts";
import { encodeRoomBroadcast } from "../../mod.ts";

const scope = self as unknown as {
  onmessage: (event: MessageEvent<{ cluster: string; name: string }>) => void;
};

scope.onmessage = ({ data: { cluster, name } }) => {
  const backplane = broadcastChannelBackplane({ cluster });
  let number = 0;
  setInterval(() => {
    for (let i = 0; i < 10; i++) {
      const message = encodeRoomBroadcast("lobby", `${name} ${number}`);
      if (backplane.publish(message).peers > 0) number++;
    }
  }, 1);
};
