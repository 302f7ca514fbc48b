// Keeps the feed live: asks for what follows the last number seen, and goes on from there after any interruption.
// Posts without leaving the page; a post whose answer is lost is sent again under the same id, and counts once.
"use strict";

const feed = document.getElementById("feed");
const status = document.getElementById("status");
const announcer = document.getElementById("announcer");
const entryTemplate = document.getElementById("entry-template");
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
const URL_PATTERN = /\bhttps?:\/\/[^\s()<>{}[\]"'`]+/g;
let sequence = Number(feed.dataset.sequence);

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const hue = (name) => [...name].reduce((sum, ch) => sum + ch.codePointAt(0), 0) % 6;
const newId = () => (crypto.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join(""));

function formatAge(time) {
  const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (-seconds >= length) {
      if (unit === "day" && -seconds > 5 * length) return;
      time.textContent = relative.format(Math.round(seconds / length), unit);
      return;
    }
  }
  time.textContent = relative.format(Math.min(Math.round(seconds), 0), "second");
}

// Text with its links as elements; never markup from a string.
function fillText(element, text) {
  let position = 0;
  for (const match of text.matchAll(URL_PATTERN)) {
    const url = match[0].replace(/[.,:;!?*]+$/, "");
    element.append(text.slice(position, match.index));
    const link = document.createElement("a");
    link.href = url;
    link.textContent = url;
    element.append(link);
    position = match.index + url.length;
  }
  element.append(text.slice(position));
}

function fillEntry(article, author, created, text) {
  const face = article.querySelector(".face");
  face.textContent = [...author][0].toUpperCase();
  face.dataset.hue = hue(author);
  article.querySelector(".author").textContent = author;
  const time = article.querySelector("time");
  time.dateTime = created;
  formatAge(time);
  const paragraph = article.querySelector(".text");
  paragraph.textContent = "";
  fillText(paragraph, text);
}

// Gives an entry its number: its addresses, and its place below all newer ones.
function numberEntry(article, id) {
  article.id = `entry-${id}`;
  article.dataset.id = id;
  article.querySelector(".when").href = `/entry/${id}`;
  const like = article.querySelector("form.like");
  if (like) like.action = `/entry/${id}/like`;
  const comment = article.querySelector("form.comment");
  if (comment) {
    comment.action = `/entry/${id}/comments`;
    comment.elements.client_id.value = newId();
  }
  // Events may come out of the order of ids: the newest id stands first.
  const next = [...feed.children].find((other) => Number(other.dataset.id) < id) || null;
  if (!article.isConnected || article.nextElementSibling !== next) feed.insertBefore(article, next);
  document.getElementById("empty")?.remove();
}

// What was written on this page is shown at once; its number comes with the answer or with the event, whichever is first.
function showPending(author, text) {
  const article = entryTemplate.content.firstElementChild.cloneNode(true);
  article.classList.add("pending");
  article.dataset.text = text;
  fillEntry(article, author, new Date().toISOString(), text);
  feed.prepend(article);
  return article;
}

function settle(article, id) {
  if (!article.classList.contains("pending")) return;
  const shown = document.getElementById(`entry-${id}`);
  if (shown && shown !== article) {
    article.remove();
    return;
  }
  article.classList.remove("pending", "fresh");
  numberEntry(article, id);
}

function showEntry(entry) {
  const known = document.getElementById(`entry-${entry.id}`);
  if (known) return known;
  const pending = [...feed.querySelectorAll(".pending")].find(
    (article) => article.dataset.text === entry.text && article.querySelector(".author").textContent === entry.author);
  if (pending) {
    settle(pending, entry.id);
    return pending;
  }
  const article = entryTemplate.content.firstElementChild.cloneNode(true);
  fillEntry(article, entry.author, entry.created, entry.text);
  numberEntry(article, entry.id);
  announcer.textContent = feed.dataset.announce.replace("%s", entry.author);
  return article;
}

function showComment(article, comment) {
  if (document.getElementById(`comment-${comment.id}`)) return;
  const item = document.createElement("li");
  item.id = `comment-${comment.id}`;
  item.className = "fresh";
  item.dir = "auto";
  const author = document.createElement("strong");
  author.dir = "auto";
  author.textContent = comment.author;
  const text = document.createElement("span");
  text.dir = "auto";
  fillText(text, comment.text);
  item.append(author, " ", text);
  article.querySelector(".comments").append(item);
}

function show(event) {
  const isKnown = document.getElementById(`entry-${event.entry.id}`);
  // An old entry that this page does not show, or a page of one entry.
  if (!isKnown && (event.kind !== "entry" || !entryTemplate)) return;
  const article = showEntry(event.entry);
  article.querySelector(".likes").textContent = event.entry.likes || "";
  if (event.comment) showComment(article, event.comment);
}

async function follow() {
  let pause = 500;
  for (;;) {
    try {
      const answer = await fetch(`/updates?since=${sequence}`, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const news = await answer.json();
      if (news.is_reset && !document.getElementById("text")?.value) location.reload(); // a backup has been restored
      news.events.forEach(show);
      sequence = news.sequence;
      status.hidden = true;
      pause = 500;
    } catch {
      status.hidden = pause < 2000;
      await sleep(pause + Math.random() * 500);
      pause = Math.min(pause * 2, 10000);
    }
  }
}

// Sends a form's fields; a lost or temporary answer is asked for again with the same client_id.
async function send(address, body, onTrouble) {
  for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
    try {
      const answer = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
      if (answer.ok) return await answer.json();
      if (answer.status < 500 && answer.status !== 429) return null;
    } catch {
      // no answer: it may have happened or not, and the same id makes both right
    }
    onTrouble();
    await sleep(pause);
  }
}

async function submitEntry(form) {
  const problem = document.getElementById("problem");
  const body = new URLSearchParams(new FormData(form));
  const field = form.elements.text;
  const text = field.value.trim().replace(/\r\n/g, "\n");
  if (!text) return;
  const article = showPending(form.dataset.author, text);
  field.value = "";
  form.elements.client_id.value = newId();
  const result = await send(form.action, body, () => { problem.textContent = problem.dataset.retry; });
  problem.textContent = result ? "" : problem.dataset.failed;
  if (result) {
    settle(article, result.id);
  } else {
    article.remove();
    field.value = field.value ? `${text}\n${field.value}` : text; // nothing that was written is lost
  }
}

async function submit(form) {
  const body = new URLSearchParams(new FormData(form));
  const isLike = form.classList.contains("like");
  if (isLike) body.set("like", form.dataset.like);
  const button = form.querySelector("button");
  button.disabled = true;
  const result = await send(form.action, body, () => {});
  button.disabled = false;
  if (!result) return;
  if (isLike) {
    button.value = result.is_liked ? "0" : "1";
    button.setAttribute("aria-pressed", String(result.is_liked));
    return;
  }
  form.elements.text.value = "";
  form.elements.client_id.value = newId();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("#compose, form.like, form.comment")) return;
  event.preventDefault();
  if (event.submitter?.name === "like") form.dataset.like = event.submitter.value;
  if (form.id === "compose") submitEntry(form);
  else submit(form);
});

document.getElementById("text")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
});

document.querySelectorAll(".when time").forEach(formatAge);
setInterval(() => document.querySelectorAll(".when time").forEach(formatAge), 30000);
if (feed.dataset.live === "true") follow();
