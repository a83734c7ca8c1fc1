/**
 * The page: what the user sees and types. connection.js connects and reconnects, outbox.js keeps
 * messages that are not sent yet, and room_log.js shows the messages of a room.
 */

import { Connection } from "./connection.js";
import { paintAvatar, shortName } from "./names.js";
import { Outbox } from "./outbox.js";
import { RoomLog } from "./room_log.js";

/** How many rooms a user can be in at once: the server's limit. */
const MAX_ROOMS = 20;

const LOST = "Reconnecting… Your messages are kept and sent as soon as possible.";

const byId = (id) => document.getElementById(id);

/** By room: its log, its button, and its number of unread messages. */
const rooms = new Map();
let me = "";
let current = "";

/** The node that this page is, or last was, connected to, and the state of every node. */
let node = "";
let states = new Map();
let connected = false;

const connection = new Connection(socketUrl(location.href));
const outbox = new Outbox({
  send: ({ id, room, text }) => connection.send({ type: "say", id, room, text }),
  stuck: () => connection.reset(),
});

function socketUrl(page) {
  return new URL("/chat", page).href.replace(/^http/, "ws");
}

// The connection

connection.addEventListener("up", () => {
  if (me !== "") sayHello();
});

connection.addEventListener("frame", ({ detail: frame }) => {
  if (frame.type === "cluster") return showCluster(frame);
  if (frame.type === "error") return handleError(frame);
  const room = rooms.get(frame.room);
  if (frame.type === "said" && room?.log.addSaid(frame)) noticeNews(room);
  if (frame.type === "said") outbox.settle(frame.id);
  if (frame.type === "note") room?.log.addNote(describe(frame), frame.at);
  if (room?.name !== current) return;
  followLog();
  byId("newest").hidden = atEnd;
});

connection.addEventListener("down", () => {
  if (connected) announce(LOST);
  connected = false;
  outbox.close();
  showConnection();
});

function sayHello() {
  connection.send({ type: "hello", name: me });
  for (const room of rooms.values()) join(room);
  outbox.open();
}

function join(room) {
  connection.send({ type: "join", room: room.name, back: room.back });
  room.back = true;
}

function showCluster(frame) {
  const returned = !connected && node !== "";
  connected = true;
  node = frame.node;
  connection.setOthers(frame.pages.map(socketUrl));
  if (returned) {
    for (const { log } of rooms.values()) {
      log.addNote(
        `You are back, through ${shortName(node)}. Messages sent in between are not shown.`,
      );
    }
    followLog();
  }
  announceChanges(frame.nodes);
  states = new Map(frame.nodes.map(({ name, state }) => [name, state]));
  showConnection();
}

function announceChanges(nodes) {
  const changed = nodes.filter(({ name, state }) => states.size > 0 && states.get(name) !== state);
  announce(changed.map(({ name, state }) => `${shortName(name)} is ${state}`).join(", "));
}

/** Tells users of a screen reader. */
function announce(news) {
  if (news !== "") byId("announcer").textContent = news;
}

function handleError({ code, message, id }) {
  if (code === "slow-down") return outbox.slowDown();
  // The server could not read the frame, so it cannot name its id: it is the one sent last.
  const refused = id ?? (code === "bad-frame" ? outbox.first?.id : undefined);
  for (const { log } of rooms.values()) {
    if (code === "partly-lost") log.addTrouble(refused, `Not everywhere: ${message}`);
    else log.refuse(refused, `Not sent: ${message}`);
  }
  outbox.settle(refused);
}

function describe({ event, name, node }) {
  if (event === "left") return `${name} left`;
  return `${name} ${event === "returned" ? "is back" : "joined"}, through ${shortName(node)}`;
}

// What the user sees

function showConnection() {
  const status = connected
    ? `Connected through ${shortName(node)}`
    : node === ""
    ? "Connecting…"
    : "Reconnecting…";
  for (const place of document.querySelectorAll("[data-through]")) place.textContent = status;
  byId("status").hidden = connected;
  byId("status").textContent = node === "" ? status : LOST;
  document.body.classList.toggle("down", !connected);
  byId("nodes").replaceChildren(...Array.from(states, ([name, state]) => {
    return makeNode(name, state === "here" && !connected ? "lost" : state);
  }));
}

function makeNode(name, state) {
  const item = document.createElement("li");
  item.dataset.node = name;
  item.dataset.state = state;
  item.title = name;
  const word = document.createElement("small");
  word.textContent = { here: "you", lost: "no answer" }[state] ?? state;
  if (state === "connected") word.className = "unseen";
  item.append(shortName(name), " ", word);
  return item;
}

function noticeNews(room) {
  if (room.name === current && !document.hidden) return;
  room.unread++;
  showUnread();
}

function showUnread() {
  let total = 0;
  for (const { unread, count } of rooms.values()) {
    total += unread;
    count.firstChild.data = unread;
    count.hidden = unread === 0;
  }
  document.title = total > 0 ? `(${total}) roomcast chat` : "roomcast chat";
}

/** Whether the end of the log is in view. If the user has scrolled up to read, do not scroll. */
let atEnd = true;

function followLog() {
  const log = rooms.get(current)?.log.element;
  if (log && atEnd) log.scrollTop = log.scrollHeight;
}

// Rooms

function enterRoom(name) {
  if (name === "" || (rooms.size >= MAX_ROOMS && !rooms.has(name))) return;
  if (!rooms.has(name)) {
    const room = makeRoom(name);
    rooms.set(name, room);
    byId("rooms").append(room.item);
    byId("logs").append(room.log.element);
    room.log.addNote("Nothing is stored here: you see messages from now on.");
    if (connected) join(room);
  }
  showRoom(name);
}

function makeRoom(name) {
  const log = new RoomLog(name);
  log.element.addEventListener("scroll", ({ target }) => {
    atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
    if (atEnd) byId("newest").hidden = true;
  });
  const item = byId("room-template").content.firstElementChild.cloneNode(true);
  const [open, leave] = item.querySelectorAll("button");
  item.querySelector("bdi").textContent = name;
  open.addEventListener("click", () => showRoom(name));
  leave.setAttribute("aria-label", `Leave ${name}`);
  leave.addEventListener("click", () => leaveRoom(name));
  return { name, log, item, open, count: item.querySelector(".count"), unread: 0, back: false };
}

function showRoom(name) {
  current = name;
  for (const room of rooms.values()) {
    const shown = room.name === name;
    room.log.element.hidden = !shown;
    room.item.classList.toggle("current", shown);
    if (shown) room.open.setAttribute("aria-current", "true");
    else room.open.removeAttribute("aria-current");
    if (shown) room.unread = 0;
  }
  byId("room-title").textContent = name;
  byId("text").placeholder = `Message to ${name}`;
  atEnd = true;
  followLog();
  byId("newest").hidden = true;
  showUnread();
  remember();
}

function leaveRoom(name) {
  if (rooms.size === 1) return;
  const { log, item } = rooms.get(name);
  rooms.delete(name);
  outbox.forget(name);
  connection.send({ type: "leave", room: name });
  log.element.remove();
  item.remove();
  if (name === current) showRoom(rooms.keys().next().value);
  else remember();
  byId("text").focus();
}

// Coming in. A reload keeps the name and the rooms. Another tab is another person.

function comeIn(name, roomNames) {
  me = name;
  byId("entrance").hidden = true;
  byId("chat").hidden = false;
  byId("me").hidden = false;
  byId("me").querySelector("bdi").textContent = name;
  paintAvatar(byId("me").querySelector(".avatar"), name);
  if (connected) sayHello();
  for (const room of roomNames) enterRoom(room);
  byId("text").focus();
}

function remember() {
  sessionStorage.setItem("chat", JSON.stringify({ name: me, rooms: [...rooms.keys()], current }));
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("name").value.trim();
  const room = byId("room").value.trim();
  if (name !== "" && room !== "") comeIn(name, [room]);
});

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  enterRoom(byId("another-room").value.trim());
  byId("another-room").value = "";
  byId("text").focus();
});

byId("sign-out").addEventListener("click", () => {
  sessionStorage.removeItem("chat");
  location.reload();
});

// Writing

function say(text) {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const message = { id, room: current, text };
  rooms.get(current).log.addPending(message, me);
  atEnd = true;
  followLog();
  outbox.add(message);
}

const compose = byId("compose");
const text = byId("text");

compose.addEventListener("submit", (event) => {
  event.preventDefault();
  if (text.value.trim() !== "") say(text.value.trim());
  text.value = "";
});

text.addEventListener("keydown", (event) => {
  // While an input method composes, Enter belongs to it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  compose.requestSubmit();
});

byId("newest").addEventListener("click", () => {
  atEnd = true;
  followLog();
  text.focus();
});

new ResizeObserver(followLog).observe(byId("logs"));

document.addEventListener("visibilitychange", () => {
  const room = rooms.get(current);
  if (document.hidden || room === undefined) return;
  room.unread = 0;
  showUnread();
});

// Begin

const saved = JSON.parse(sessionStorage.getItem("chat") ?? "null");
const asked = new URLSearchParams(location.search);
byId("name").value = asked.get("name") ?? "";
byId("room").value = asked.get("room") ?? "lobby";
showConnection();
connection.connect();
if (saved !== null) {
  comeIn(saved.name, saved.rooms);
  showRoom(saved.current);
}
