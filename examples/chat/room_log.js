/** The messages of one room, as a list. It sets all text by `textContent`, so none becomes HTML. */

import { hue, paintAvatar, shortName } from "./names.js";

/** How many messages the page keeps. */
const MAX_SHOWN = 500;

/** Consecutive messages of one author are joined if they are at most this far apart. */
const GROUP_MS = 3 * 60_000;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export class RoomLog {
  /** The log, which goes into the page. A list must not have the role `log`. */
  element = document.createElement("div");
  /** By id: messages that were sent, and messages that have not come back yet. */
  #said = new Map();
  #pending = new Map();

  constructor(room) {
    this.element.className = "log";
    this.element.tabIndex = 0; // lets the keyboard scroll it
    this.element.setAttribute("role", "log");
    this.element.setAttribute("aria-label", `Messages in ${room}`);
  }

  /** Shows a message of this user before it has come back. */
  addPending({ id, text }, name) {
    const item = makeMessage(name, text);
    item.classList.add("mine", "pending");
    this.#pending.set(id, item);
    this.element.append(item);
    group(item);
  }

  /** Shows a message. False if it is here already. */
  addSaid({ id, name, text, node, at }) {
    if (this.#said.has(id)) return false;
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    const item = pending ?? makeMessage(name, text);
    this.#said.set(id, item);
    item.classList.remove("pending");
    item.dataset.node = node;
    item.dataset.at = at;
    const badge = item.querySelector(".badge");
    badge.textContent = shortName(node);
    badge.title = `Came in through ${node}`;
    const time = item.querySelector("time");
    time.textContent = clock.format(at);
    time.dateTime = new Date(at).toISOString();
    if (!pending) this.#insert(item);
    group(item);
    group(item.nextElementSibling);
    return true;
  }

  /** Shows a line that is not a message of a user. */
  addNote(text, at = Date.now()) {
    const item = document.createElement("div");
    item.className = "note";
    item.textContent = text;
    item.title = clock.format(at);
    this.#insert(item);
    group(item.nextElementSibling);
  }

  /** Marks a message of this user as not sent. */
  refuse(id, why) {
    this.addTrouble(id, why);
    this.#pending.get(id)?.classList.replace("pending", "refused");
    this.#pending.delete(id);
  }

  /** Says below a message of this user that it did not reach everybody. */
  addTrouble(id, why) {
    const item = this.#pending.get(id) ?? this.#said.get(id);
    if (item === undefined) return;
    const trouble = item.querySelector(".trouble");
    trouble.textContent = why;
    trouble.hidden = false;
  }

  /** Keeps the waiting messages at the end. */
  #insert(item) {
    const [firstPending = null] = this.#pending.values();
    this.element.insertBefore(item, firstPending);
    if (this.element.childElementCount > MAX_SHOWN) this.element.firstElementChild.remove();
    if (this.#said.size > MAX_SHOWN) this.#said.delete(this.#said.keys().next().value);
  }
}

function makeMessage(name, text) {
  const item = document.getElementById("message-template").content.firstElementChild
    .cloneNode(true);
  item.dataset.name = name;
  item.style.setProperty("--hue", hue(name));
  paintAvatar(item.querySelector(".avatar"), name);
  item.querySelector(".author").textContent = name;
  item.querySelector(".text").textContent = text;
  return item;
}

/** Joins a message to the previous one, if the same author wrote both in quick succession. */
function group(item) {
  if (!item?.classList.contains("message")) return;
  const { name, node, at } = item.dataset;
  const before = item.previousElementSibling?.dataset ?? {};
  const near = at === undefined || before.at === undefined || at - before.at < GROUP_MS;
  const same = name === before.name && (node === undefined || node === before.node);
  item.classList.toggle("more", same && near);
}
