// The page's script: speaks to the wallet (EIP-1193, EIP-6963), and keeps pages up to date without moving what somebody reads.
// Part of Lota, under its licence (Apache-2.0 OR MIT). Everything can be read without it.
"use strict";

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// ---- the wallet

// Which one was used last, in this tab.
const preferred = session_get("wallet");

// Those that were announced (EIP-6963), or else the one that is there without a name; and which of them is used.
const wallets = [];
let wallet = null;

function found(provider, info = {}) {
  if (typeof provider?.request !== "function" || wallets.some((known) => known.provider === provider)) return;
  // Wallets write of themselves what they like: it is text here.
  const told = (text, otherwise) => (typeof text === "string" && text.trim() ? text.trim().slice(0, 60) : otherwise);
  const id = told(info.rdns, "");
  wallets.push({ provider, id, name: told(info.name, "The browser's wallet") });
  if (!wallet || (id && id === preferred)) wallet = provider;
  for (const form of all("form[data-wallet]")) offer(form);
}

// With a wallet, its button comes first, and signing by hand is folded away. Of several, one is chosen by its name.
function offer(form) {
  const place = one(".wallet", form);
  if (place.hidden) {
    place.hidden = false;
    one("[data-by-hand]", form).open = false;
    one("[data-sign]", form).addEventListener("click", () => run(form));
  }
  if (wallets.length < 2) return;
  let choice = one("select", form);
  if (!choice) {
    const label = document.createElement("label");
    label.textContent = "Wallet ";
    choice = document.createElement("select");
    choice.addEventListener("change", () => {
      const chosen = wallets[choice.selectedIndex];
      wallet = chosen.provider;
      session_store("wallet", chosen.id);
    });
    label.append(choice);
    place.before(label);
  }
  choice.replaceChildren(...wallets.map(({ name, provider }) => new Option(name, "", false, provider === wallet)));
}

const say = (form, text) => {
  const place = one("[data-wrong]", form);
  place.hidden = !text;
  place.textContent = text;
};

// Wallets write of errors what they like: it is text here.
const reason = (error) => {
  if (error?.code === 4001) return "The wallet did not sign: you declined it.";
  if (error?.code === -32002) return "The wallet waits for you already: open it.";
  return error?.message ? String(error.message).slice(0, 300) : "The wallet gave no reason.";
};

async function run(form) {
  const button = one("[data-sign]", form);
  say(form, "");
  button.disabled = true;
  try {
    await steps[form.dataset.wallet](form);
    if (!form.reportValidity()) one("[data-by-hand]", form).open = true;
    else form.submit();
  } catch (error) {
    say(form, error instanceof Problem ? error.message : reason(error));
    button.disabled = false;
    button.focus();
  }
}

class Problem extends Error {}

const ask = (method, params = []) => wallet.request({ method, params });

// The account must be the one that the page is made for: another's signature would be refused.
async function check_account(form) {
  const wanted = form.dataset.account;
  const accounts = await ask("eth_requestAccounts");
  const mine = accounts.find((account) => account.toLowerCase() === wanted.toLowerCase());
  if (!mine) throw new Problem(`The wallet gives ${accounts[0] ?? "no account"}; choose ${wanted} in it.`);
  return mine;
}

async function check_chain(form) {
  const wanted = "0x" + BigInt(form.dataset.chain).toString(16);
  if (BigInt(await ask("eth_chainId")) === BigInt(wanted)) return;
  try {
    await ask("wallet_switchEthereumChain", [{ chainId: wanted }]);
  } catch (error) {
    if (error?.code === 4001) throw error;
    throw new Problem(`The wallet does not know chain ${form.dataset.chain}: add it there first.`);
  }
}

const hex = (text) => "0x" + [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const steps = {
  async account(form) {
    const [account] = await ask("eth_requestAccounts");
    if (!account) throw new Problem("The wallet gives no account.");
    form.elements.account.value = account;
    session_store("connected", "yes");
  },
  async "sign-in"(form) {
    const account = await check_account(form);
    form.elements.signature.value = await ask("personal_sign", [hex(one("#message").textContent), account]);
  },
  async vote(form) {
    const account = await check_account(form);
    await check_chain(form);
    form.elements.signature.value = await ask("eth_signTypedData_v4", [account, one("#typed-data").textContent]);
  },
};

// Who just connected the wallet is asked to sign at once.
function session_store(key, value) {
  try { sessionStorage.setItem(key, value); } catch { /* it is only a click more */ }
}
function session_get(key) {
  try { return sessionStorage.getItem(key); } catch { return null; }
}
function session_take(key) {
  const value = session_get(key);
  try { sessionStorage.removeItem(key); } catch { /* it was not there */ }
  return value;
}

if (one("form[data-wallet]")) {
  addEventListener("eip6963:announceProvider", (event) => found(event.detail?.provider, event.detail?.info));
  dispatchEvent(new Event("eip6963:requestProvider"));
  // What announces itself is often this one under its name.
  if (!wallets.length) found(window.ethereum);
  const form = one("form[data-wallet=sign-in]");
  if (form && session_take("connected") && wallet) run(form);
}

// ---- signed in already, but the link came from elsewhere: no cookie came with it

const came = one("[data-next]");
if (came && !session_take("tried")) {
  fetch("/session").then((answer) => answer.text()).then((signed_in) => {
    if (signed_in !== "yes") return;
    session_store("tried", "yes");
    location.replace(came.dataset.next);
  }).catch(() => {});
}

// ---- what changes

const live = document.body.dataset.live;
const stale = "stale" in document.body.dataset;
let source = null;
let timer = null;
let later = null;
let last = 0;

const concerns = (change) => change === "all" || change === "about" || live === "queue" || live === change;
const connection = (text) => { one("#connection").textContent = text; };

function connect() {
  source?.close();
  source = new EventSource("/events");
  source.addEventListener("change", (event) => concerns(event.data) && soon());
  let lost = false;
  source.onopen = () => {
    connection("This page follows what happens.");
    if (lost) soon();
  };
  source.onerror = () => {
    lost = true;
    if (source.readyState !== EventSource.CLOSED) return connection("The connection is lost; trying again.");
    // Refused, since too many follow: then it is looked now and then.
    connection("This page looks for what is new every 30 seconds.");
    later ??= setTimeout(() => { later = null; soon(); connect(); }, 30_000);
  };
}

function disconnect() {
  clearTimeout(later);
  later = null;
  source?.close();
  source = null;
}

// Many changes are one look, and never more than one in a second.
function soon() {
  if (timer) return;
  timer = setTimeout(() => { timer = null; look(); }, Math.max(150, last + 1000 - Date.now()));
}

async function look() {
  last = Date.now();
  if (stale) {
    announce("This job changed since the page was made. What you wrote is still here; look at the job before you sign.");
    return;
  }
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    update(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    connection("This page could not be brought up to date; trying again with the next change.");
  }
}

const announce = (text) => { one("#said").textContent = text; };

// What is read stays where it is: the row or section under the focus, or else the first that is in view, does not move.
function anchor() {
  const parts = all("#jobs > tr, main > section");
  const at = (part) => part && { part, top: part.getBoundingClientRect().top };
  return at(parts.find((part) => part.contains(document.activeElement)))
    ?? at(parts.find((part) => part.getBoundingClientRect().bottom > 0));
}

function update(next) {
  const held = scrollY > 0 || document.activeElement !== document.body ? anchor() : null;
  const changed = live === "queue" ? rows(next) : sections(next);
  for (const id of ["foot", "jobs-caption"]) {
    const [mine, theirs] = [document.getElementById(id), next.getElementById(id)];
    if (mine && theirs) mine.textContent = theirs.textContent;
  }
  const [views, counted] = [one("#views"), one("#views", next)];
  if (views && counted) replace(views, counted);
  const [wrong, now] = [one("section.problems"), one("section.problems", next)];
  if (wrong && now) replace(wrong, now);
  else if (now) one("#main").prepend(document.importNode(now, true));
  else wrong?.remove();
  if (held?.part.isConnected) scrollBy(0, held.part.getBoundingClientRect().top - held.top);
  if (changed) announce(changed);
}

// Puts new content in the place of old, where it differs; what was unfolded stays so, and the focus where it was.
function replace(mine, theirs) {
  const copy = document.importNode(theirs, true);
  for (const opened of all("details[id]", mine)) {
    const same = one("#" + CSS.escape(opened.id), copy);
    if (same) same.open = opened.open;
  }
  if (mine.isEqualNode(copy)) return false;
  const focus = mine.contains(document.activeElement) ? document.activeElement : null;
  const number = focus ? all("a, button, summary, [tabindex]", mine).indexOf(focus) : -1;
  mine.replaceWith(copy);
  if (number >= 0) (all("a, button, summary, [tabindex]", copy)[number] ?? one("#main")).focus({ preventScroll: true });
  return true;
}

function rows(next) {
  const [mine, theirs] = [one("#jobs"), one("#jobs", next)];
  if (!mine || !theirs) {
    const [table, other] = [one("table.jobs, #none"), one("table.jobs, #none", next)];
    if (table && other) table.replaceWith(document.importNode(other, true));
    return "The list changed.";
  }
  const old = new Map(all(":scope > tr", mine).map((row) => [row.id, row]));
  let [fresh, other, at] = [0, 0, mine.firstElementChild];
  for (const row of all(":scope > tr", theirs)) {
    let here = old.get(row.id);
    old.delete(row.id);
    if (!here) {
      fresh += 1;
      here = document.importNode(row, true);
      here.classList.add("fresh");
    } else if (replace_row(here, row)) other += 1;
    if (here === at) at = at.nextElementSibling;
    else if (here.contains(document.activeElement)) {
      // Moving a node takes its focus away: the others are moved around it.
      while (at && at !== here) { const gone = at; at = at.nextElementSibling; mine.append(gone); }
      at = here.nextElementSibling;
    } else mine.insertBefore(here, at);
  }
  let left = 0;
  for (const row of old.values()) {
    if (row.classList.contains("gone")) continue;
    left += 1;
    // Not from under somebody's hands.
    if (row.contains(document.activeElement)) row.classList.add("gone");
    else row.remove();
  }
  const words = [[fresh, "new"], [other, "changed"], [left, "left the list"]];
  const told = words.filter(([number]) => number).map(([number, word]) => `${number} ${word}`);
  return told.length ? `The list changed: ${told.join(", ")}.` : "";
}

// The cells are replaced, the row and its link stay: so does the focus.
function replace_row(mine, theirs) {
  mine.classList.remove("fresh", "gone");
  let changed = false;
  const cells = [...theirs.children];
  [...mine.children].forEach((cell, at) => { if (cells[at]) changed = replace(cell, cells[at]) || changed; });
  return changed;
}

function sections(next) {
  let changed = false;
  const theirs = all("main > section[id]", next);
  let before = null;
  for (const section of theirs) {
    const mine = document.getElementById(section.id);
    if (mine) changed = replace(mine, section) || changed;
    else {
      const place = before ?? all("main > h1").pop();
      place?.after(document.importNode(section, true));
      changed = true;
    }
    before = document.getElementById(section.id);
  }
  const kept = new Set(theirs.map((section) => section.id));
  for (const section of all("main > section[id]")) if (!kept.has(section.id)) { section.remove(); changed = true; }
  return changed ? "This page changed." : "";
}

if (live && "EventSource" in window) {
  // Browsers open few connections to a page: one that nobody looks at holds none.
  const follow = () => {
    if (document.visibilityState === "hidden") return disconnect();
    if (source) return;
    connect();
    if (last) soon();
    last ||= 1;
  };
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", follow);
  follow();
}
