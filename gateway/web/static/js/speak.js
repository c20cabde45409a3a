// The speaker's page: sign in, get ready, talk, end.
import { Microphone, MicrophoneError } from "./capture.js";
import * as downloads from "./downloads.js";
import { I18n, PAGE_LANGUAGES, guess, remember, remembered } from "./i18n.js";
import { Meter } from "./meter.js";
import { ProtocolError, Session } from "./net.js";
import { Outbox } from "./outbox.js";
import * as signin from "./signin.js";
import { TranscriptView } from "./transcript-view.js";

/**
 * @typedef {Record<string, any>} Message
 * @typedef {{ isPaused: boolean, isMuted: boolean, volume: number }} Controls
 */

const SOURCE = "babelcast.source";
const SWITCHES = "babelcast.sound";
const KEYS = "babelcast.keys";
const TALK = "babelcast.talk";
/** How often the listeners' lag is asked for. */
const STATUS_MS = 5000;
const ENDS_WITHIN_MS = 40_000;

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const $ = (id) => /** @type {T} */ (document.getElementById(id));
const microphone = new Microphone();
const meter = new Meter($("level"), { calm: matchMedia("(prefers-reduced-motion: reduce)") });

let i18n = await I18n.load(["speak"]);
/** @type {Message} */
let config = { publicUrl: "", signIn: { local: false, login: null }, languages: null };
let token = "";
let view = "loading";
/** @type {MediaTrackSettings | null} */
let lostMicrophone = null;
/** @type {WakeLockSentinel | null} */
let wakeLock = null;

/** The talk that is on; null before and after. @type {Talk | null} */
let talk = null;

/** What is known of a talk, and its way to the gateway. */
class Talk {
  /** @param {Session} session @param {string} source */
  constructor(session, source) {
    this.session = session;
    this.source = source;
    this.joinUrl = "";
    this.outbox = new Outbox(() => performance.now() / 1000);
    this.line = {
      send: (/** @type {any} */ data) => {
        if (data instanceof ArrayBuffer) session.sendBinary(data);
        else session.send(data);
      },
    };
    /** As the speaker wants them; the gateway is told when it has all that was said before. @type {Controls} */
    this.wanted = { isPaused: false, isMuted: false, volume: 1 };
    /** As the gateway has them. @type {Controls} */
    this.known = { ...this.wanted };
    this.syncing = false;
    this.ending = false;
    this.over = false;
    this.began = Date.now();
    this.mostListeners = 0;
    /** @type {Set<string>} */
    this.languages = new Set([source]);
    /** @type {Message | null} */
    this.status = null;
    this.toldLost = 0;
  }
}

const transcript = new TranscriptView(
  { list: $("transcript"), scroll: $("scroll"), empty: $("empty"), newest: $("newest") },
  {
    i18n: () => i18n,
    edit: async (segmentId, text) => {
      if (!talk) throw new Error("no talk");
      await talk.session.request({ action: "editTranscript", segmentId, text });
    },
  },
);

// ---- views

/** @param {"signin" | "setup" | "live" | "ended"} next */
function go(next) {
  view = next;
  document.body.dataset.view = next;
  for (const name of ["signin", "setup", "live", "ended"]) $(`view-${name}`).hidden = name !== next;
  alert("");
  const live = next === "live";
  (live ? $("live-sound") : $("setup-sound")).append($("sound"));
  (live ? $("live-level") : $("setup-level")).append($("level-box"));
  $(`h-${next}`).focus({ preventScroll: true });
  scrollTo(0, 0);
  if (!live) link("");
}

/** @param {string} text */
function alert(text) {
  $("alert").textContent = text;
  $("alert").hidden = !text;
}

/** Say to a screen reader. @param {string} text */
function say(text) {
  $("spoken").textContent = "";
  setTimeout(() => ($("spoken").textContent = text), 50);
}

/** @param {string} text @param {"none" | "on" | "held" | "wait" | "bad"} [state] @param {boolean} [retry] */
function link(text, state = "none", retry = false) {
  const place = $("link");
  place.hidden = !text;
  place.dataset.link = state;
  place.className = `chip sp-link ${{ none: "", on: "live", held: "warn", wait: "warn", bad: "bad" }[state]}`;
  $("link-text").textContent = text;
  $("link-retry").hidden = !retry;
}

// ---- signing in

function showSignIn() {
  const { local, login } = config.signIn;
  $("local").hidden = !local;
  $("login").hidden = !login;
  const other = local || login;
  $("paste-open").hidden = !other;
  $("paste").hidden = Boolean(other);
  go("signin");
}

/** @param {string} fresh */
async function signedIn(fresh) {
  token = fresh;
  signin.keep(fresh);
  const name = signin.who(fresh);
  $("who").hidden = !name;
  $("who").textContent = i18n.t("setup.as", { name });
  $("sign-out").hidden = false;
  go("setup");
  await openMicrophone();
}

/** @param {unknown} error */
function signInFailed(error) {
  const trouble = error instanceof signin.SignInError ? error.trouble : "unreachable";
  showSignIn();
  alert(i18n.t(`signin.${trouble}`));
}

/** @param {string} text */
function signOut(text) {
  signin.forget();
  token = "";
  void microphone.close();
  meter.stop();
  showSignIn();
  alert(text);
}

// ---- the microphone

/** @type {Record<string, boolean>} */
const switches = { echo: true, noise: true, gain: true, ...parsed(remembered(SWITCHES)) };

async function openMicrophone() {
  trouble("");
  const wish = {
    deviceId: $("microphone").dataset.chosen ?? "",
    echoCancellation: switches.echo,
    noiseSuppression: switches.noise,
    autoGainControl: switches.gain,
  };
  try {
    if (!(await microphone.open(wish))) return;
    lostMicrophone = null;
    clearWarning("microphone");
    meter.start();
  } catch (error) {
    const kind = error instanceof MicrophoneError ? error.trouble : "failed";
    if (talk) warn("microphone", i18n.t(`mic.${kind}`), "");
    else trouble(i18n.t(`mic.${kind}`));
  }
  await listMicrophones();
  $("start").toggleAttribute("disabled", !microphone.on);
}

async function listMicrophones() {
  const list = /** @type {HTMLSelectElement} */ ($("microphone"));
  const devices = await Microphone.list();
  const named = devices.some((device) => device.label);
  const options = devices.map((device, index) => {
    const text =
      device.deviceId === "default" ? i18n.t("setup.default") : device.label || i18n.t("setup.numbered", { number: index + 1 });
    return new Option(text, device.deviceId);
  });
  if (!named && !microphone.on) options.splice(0, options.length, new Option(i18n.t("setup.allow"), ""));
  if (!devices.length) options.splice(0, options.length, new Option("—", ""));
  list.replaceChildren(...options);
  const wanted = list.dataset.chosen || microphone.deviceId;
  if (options.some((option) => option.value === wanted)) list.value = wanted;
}

async function devicesChanged() {
  await listMicrophones();
  if (view !== "setup" && view !== "live") return;
  if (!microphone.on && (lostMicrophone || view === "setup")) {
    const devices = await Microphone.list();
    if (!devices.length) return;
    $("microphone").dataset.chosen = devices.some((device) => device.deviceId === lostMicrophone?.deviceId)
      ? lostMicrophone?.deviceId
      : "";
    await openMicrophone();
    if (microphone.on && talk) say(i18n.t("mic.back"));
  }
}

function microphoneLost() {
  lostMicrophone = { deviceId: $("microphone").dataset.chosen };
  meter.stop();
  if (talk) warn("microphone", i18n.t("mic.lost"), "");
  else trouble(i18n.t("mic.lost"));
  $("start").toggleAttribute("disabled", true);
  // another may be there already
  void devicesChanged();
}

/** @param {string} text */
function trouble(text) {
  $("mic-trouble").textContent = text;
  $("mic-trouble").hidden = !text;
  $("say").hidden = Boolean(text);
}

// ---- a talk

async function start() {
  const button = $("start");
  const source = /** @type {HTMLSelectElement} */ ($("source")).value;
  remember(SOURCE, source);
  button.toggleAttribute("disabled", true);
  button.textContent = i18n.t("setup.starting");
  alert("");
  await microphone.wake();
  try {
    await begin(source, () => ({ action: "createSession", sourceLanguage: source, token }));
  } catch (error) {
    talk = null;
    const code = error instanceof ProtocolError ? error.code : "SERVICE_UNAVAILABLE";
    if (code === "UNAUTHORIZED" || code === "TOKEN_EXPIRED") signOut(i18n.t(`error.${code}`));
    else alert(i18n.error({ code }));
  } finally {
    button.textContent = i18n.t("setup.start");
    button.toggleAttribute("disabled", !microphone.on);
  }
}

/** @param {string} source @param {() => Message} opening @param {string} [joinUrl] */
async function begin(source, opening, joinUrl = "") {
  const session = new Session({ role: "speaker", opening });
  const mine = new Talk(session, source);
  session.on("state", ({ state, seconds, error }) => onState(mine, state, seconds, error));
  session.on("resumed", (answer) => onResumed(mine, answer));
  session.on("message", (message) => {
    if (talk === mine) hear(mine, message);
  });
  talk = mine;
  transcript.clear();
  $("warnings").replaceChildren();
  const made = await session.start();
  if (made.type === "sessionCreated") {
    mine.outbox.begin(mine.line);
    // without an address of its own the gateway knows only what its proxy calls it; this page knows better
    mine.joinUrl = config.publicUrl ? made.joinUrl : `${location.origin}/${session.code}`;
  } else {
    mine.joinUrl = joinUrl;
    onResumed(mine, made);
  }
  showInvitation(mine);
  showStatus(mine);
  showControls(mine);
  go("live");
  showLink(mine);
  keepTalk(mine);
  session.send({ action: "getSessionStatus" });
  void stayAwake();
}

/** A reload of the tab goes on with its talk. @param {Talk} mine */
function keepTalk(mine) {
  const { session, source, joinUrl } = mine;
  const kept = { code: session.code, resumeToken: session.resumeToken, source, joinUrl, at: Date.now() };
  sessionStorage.setItem(TALK, JSON.stringify(kept));
}

/** @param {Talk} mine @param {string} state @param {number} seconds @param {ProtocolError | null} error */
function onState(mine, state, seconds, error) {
  if (talk !== mine || mine.over) return;
  if (state === "waiting" || state === "offline") mine.outbox.pause();
  if (view !== "live") return;
  if (state === "waiting") link(i18n.t("link.lost", { seconds }), "wait", true);
  else if (state === "offline") link(i18n.t("link.offline"), "bad");
  else if (state === "connecting" && !mine.session.bufferedAmount) link(i18n.t("link.connecting"), "wait");
  else if (state === "open") showLink(mine);
  else if (state === "failed" || state === "ended") {
    finish(mine, { reason: error?.code === "CONFLICT" ? "replaced" : "speakerDisconnected" });
  }
}

/** @param {Talk} mine @param {Message} answer */
function onResumed(mine, answer) {
  mine.outbox.resume(mine.line, answer.lastAudioSequence ?? undefined);
  keepTalk(mine);
  showLink(mine);
}

/** @param {Talk} mine */
function showLink(mine) {
  if (mine.session.state !== "open") return;
  if (mine.ending) link(i18n.t("live.ending"), "wait");
  else if (mine.outbox.waiting > 10) link(i18n.t("link.catching"), "wait");
  else if (mine.wanted.isPaused) link(i18n.t("link.paused"), "held");
  else if (mine.wanted.isMuted) link(i18n.t("link.muted"), "held");
  else link(i18n.t("link.on"), "on");
}

/** @param {Talk} mine @param {Message} message */
function hear(mine, message) {
  switch (message.type) {
    case "transcript":
      transcript.show(/** @type {any} */ (message), mine.source);
      break;
    case "sessionStatus":
      if (message.requestId === "settled") mine.outbox.settled();
      mine.status = message;
      mine.mostListeners = Math.max(mine.mostListeners, message.listenerCount);
      for (const language of Object.keys(message.languageDistribution)) mine.languages.add(language);
      mine.began = message.createdAt - mine.session.clockOffsetMs;
      showStatus(mine);
      break;
    case "audio_quality_warning":
      warn(message.issue, i18n.t(`warn.${message.issue}`), i18n.t(`warn.${message.issue}.do`));
      break;
    case "audio_quality_ok":
      clearWarning(message.issue);
      break;
    case "serviceDegraded": {
      const { component, targetLanguage } = message;
      const language = targetLanguage ? i18n.languageName(targetLanguage) : i18n.t("warn.all");
      warn(`${component} ${targetLanguage ?? ""}`, i18n.t(`warn.degraded.${component}`, { language }), i18n.t("warn.degraded.do"));
      break;
    }
    case "systemRecovered":
      clearWarning(`${message.component} ${message.targetLanguage ?? ""}`);
      break;
    case "stateRestored":
    case "speakerStateChanged":
    case "volumeChanged":
    case "broadcastControlled": {
      const { isPaused, isMuted, volume } = message.broadcastState;
      mine.known = { isPaused, isMuted, volume };
      void sync(mine);
      break;
    }
    case "sessionEnded":
      finish(mine, message);
      break;
    case "error":
      if (message.action === "sendAudio" && message.code === "RATE_LIMIT_EXCEEDED") {
        const named = /^audio-(\d+)$/.exec(message.requestId ?? "");
        mine.outbox.refused(Number(message.details?.retryAfter) || 0.1, named ? Number(named[1]) : undefined);
      }
      break;
  }
}

/** @param {CustomEvent<ArrayBuffer>} event */
function onPiece({ detail: pcm }) {
  const mine = talk;
  if (!mine || mine.ending || view !== "live") return;
  if (mine.wanted.isPaused) {
    mine.outbox.pump();
  } else {
    // what is muted does not leave this machine
    mine.outbox.add(mine.wanted.isMuted ? new ArrayBuffer(pcm.byteLength) : pcm);
  }
  if (mine.outbox.lost >= mine.toldLost + 10) {
    mine.toldLost = mine.outbox.lost;
    warn("lost", i18n.t("warn.lost", { seconds: i18n.number(Math.round(mine.outbox.lost / 10)) }), i18n.t("warn.lost.do"));
  }
  void sync(mine);
}

/** Tell the gateway what the speaker wants, once it has what was said before. @param {Talk} mine */
async function sync(mine) {
  const { wanted, known } = mine;
  const same = wanted.isPaused === known.isPaused && wanted.isMuted === known.isMuted && Math.abs(wanted.volume - known.volume) < 0.004;
  if (same || mine.syncing || mine.session.state !== "open" || mine.outbox.waiting > 0) return;
  mine.syncing = true;
  try {
    const sent = { ...wanted };
    await mine.session.request({ action: "speakerStateChange", state: sent });
    mine.known = sent;
  } catch {
    await new Promise((done) => setTimeout(done, 1000));
  } finally {
    mine.syncing = false;
  }
  void sync(mine);
}

/** @param {Partial<Controls>} change */
function control(change) {
  if (!talk || talk.ending) return;
  const before = talk.wanted;
  talk.wanted = { ...before, ...change };
  void sync(talk);
  showControls(talk);
  showLink(talk);
  if (change.isPaused !== undefined) say(i18n.t(change.isPaused ? "live.paused" : "link.on"));
  else if (change.isMuted !== undefined) say(i18n.t(change.isMuted ? "live.muted" : "link.on"));
}

const togglePause = () => talk && control({ isPaused: !talk.wanted.isPaused });
const toggleMute = () => talk && control({ isMuted: !talk.wanted.isMuted });
/** @param {number} steps */
const changeVolume = (steps) => talk && control({ volume: Math.min(1, Math.max(0, Math.round(talk.wanted.volume * 20 + steps) / 20)) });

function askToEnd() {
  const dialog = /** @type {HTMLDialogElement} */ ($("confirm"));
  if (talk && !talk.ending && !dialog.open) {
    dialog.returnValue = "";
    dialog.showModal();
  }
}

/** All that was said goes first; then the gateway lets the last sentences through. */
async function end() {
  const mine = talk;
  if (!mine || mine.ending) return;
  mine.ending = true;
  showControls(mine);
  showLink(mine);
  const deadline = performance.now() + ENDS_WITHIN_MS;
  while (!mine.over && performance.now() < deadline && (mine.outbox.waiting > 0 || mine.session.state !== "open")) {
    mine.outbox.pump();
    await new Promise((done) => setTimeout(done, 100));
  }
  while (!mine.over && performance.now() < deadline && !mine.session.send({ action: "endSession" })) {
    await new Promise((done) => setTimeout(done, 500));
  }
  setTimeout(() => finish(mine, { reason: "other" }), Math.max(5000, deadline - performance.now()));
}

/** @param {Talk} mine @param {Message} message */
function finish(mine, message) {
  if (mine.over) return;
  mine.over = true;
  sessionStorage.removeItem(TALK);
  void wakeLock?.release().catch(() => {});
  wakeLock = null;
  void microphone.close();
  meter.stop();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  mine.session.close();
  talk = null;
  const why = `ended.${message.reason}`;
  $("ended-why").textContent = i18n.t(i18n.has(why) ? why : "ended.other");
  showFacts(mine, message.usage);
  downloads.show($("downloads-ended"), mine.session.code, [...mine.languages], i18n);
  go("ended");
}

// ---- what is shown of it

/** @param {Talk} mine */
function showInvitation(mine) {
  const { code } = mine.session;
  const qr = `/sessions/${encodeURIComponent(code)}/qr.svg`;
  $("code").textContent = $("room-code").textContent = code;
  // as large as fits on one line
  document.body.style.setProperty("--chars", String(code.length));
  const plain = mine.joinUrl.replace(/^https?:\/\//, "");
  const place = /** @type {HTMLAnchorElement} */ ($("joinlink"));
  place.href = mine.joinUrl;
  place.textContent = $("room-link").textContent = plain;
  for (const id of ["qr", "room-qr"]) {
    const image = /** @type {HTMLImageElement} */ ($(id));
    image.src = qr;
    image.alt = i18n.t("live.qr", { url: plain });
  }
  $("share").hidden = !navigator.share;
}

/** @param {Talk} mine */
function showStatus(mine) {
  const spread = /** @type {Record<string, number>} */ (mine.status?.languageDistribution ?? {});
  const lags = /** @type {Record<string, number>} */ (mine.status?.languageLag ?? {});
  const rows = Object.entries(spread).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  $("listener-count").textContent = i18n.number(mine.status?.listenerCount ?? 0);
  $("nobody").hidden = rows.length > 0;
  $("listeners").replaceChildren(
    ...rows.map(([language, count]) => {
      const item = document.createElement("li");
      item.dataset.language = language;
      const lag = document.createElement("span");
      lag.className = "sp-lag";
      lag.dataset.testid = "lag";
      if (language === mine.source) lag.textContent = i18n.t("live.original");
      else if (lags[language] !== undefined) {
        lag.textContent = i18n.t("live.behind", { seconds: i18n.number(lags[language] / 1000, 1) });
        lag.dataset.slow = String(lags[language] > 8000);
      }
      item.append(element("span", i18n.languageName(language)), lag, element("b", i18n.number(count)));
      return item;
    }),
  );
  downloads.show($("downloads-live"), mine.session.code, [...mine.languages], i18n);
}

/** @param {Talk} mine */
function showControls(mine) {
  const { isPaused, isMuted, volume } = mine.wanted;
  // the words change with the state, so the state is not said a second time
  $("pause-text").textContent = i18n.t(isPaused ? "live.resume" : "live.pause");
  $("mute-text").textContent = i18n.t(isMuted ? "live.unmute" : "live.mute");
  $("pause").dataset.on = String(isPaused);
  $("mute").dataset.on = String(isMuted);
  document.body.dataset.silent = String(isPaused || isMuted);
  /** @type {HTMLInputElement} */ ($("volume")).value = String(Math.round(volume * 100));
  $("volume").setAttribute("aria-valuetext", i18n.number(Math.round(volume * 100)) + " %");
  for (const id of ["pause", "mute", "volume", "end"]) $(id).toggleAttribute("disabled", mine.ending);
}

/** @param {string} name @param {string} title @param {string} advice */
function warn(name, title, advice) {
  clearWarning(name);
  const card = document.createElement("div");
  card.className = "sp-warning";
  card.dataset.issue = name;
  const close = element("button", "×");
  close.className = "icon-button";
  close.setAttribute("type", "button");
  close.setAttribute("aria-label", i18n.t("warn.close"));
  close.addEventListener("click", () => card.remove());
  const words = document.createElement("p");
  words.append(element("b", title), " ", advice);
  card.append(words, close);
  $("warnings").append(card);
}

/** @param {string} name */
function clearWarning(name) {
  for (const card of $("warnings").children) {
    if (/** @type {HTMLElement} */ (card).dataset.issue === name) card.remove();
  }
}

/** @param {Talk} mine @param {Message} [usage] */
function showFacts(mine, usage) {
  const facts = [
    ["ended.duration", clock(Date.now() - mine.began)],
    ["ended.listeners", i18n.number(mine.mostListeners)],
  ];
  if (usage) {
    facts.push(["ended.hours", i18n.number(usage.listenerHours, 2)]);
    const cost = new Intl.NumberFormat(i18n.language, { style: "currency", currency: "USD" }).format(usage.costUsd);
    facts.push(["ended.cost", cost]);
  }
  $("facts").replaceChildren(
    ...facts.map(([key, value]) => {
      const fact = document.createElement("div");
      fact.append(element("dt", i18n.t(key)), element("dd", value));
      return fact;
    }),
  );
}

/** @param {string} name @param {string} text */
function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** @param {number} ms */
function clock(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

// ---- small things

async function stayAwake() {
  if (!talk || wakeLock || document.visibilityState !== "visible") return;
  try {
    wakeLock = (await navigator.wakeLock?.request("screen")) ?? null;
    wakeLock?.addEventListener("release", () => (wakeLock = null));
  } catch {
    // low battery, or not allowed: the talk goes on
  }
}

/** @param {string} text @param {HTMLElement} button */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const selection = getSelection();
    selection?.selectAllChildren($(button.id === "copy-link" ? "joinlink" : "code"));
    if (!document.execCommand("copy")) return;
    selection?.removeAllRanges();
  }
  const key = button.dataset.i18n ?? "";
  button.textContent = i18n.t("live.copied");
  say(i18n.t("live.copied"));
  setTimeout(() => (button.textContent = i18n.t(key)), 1500);
}

function showRoom() {
  /** @type {HTMLDialogElement} */ ($("room")).showModal();
}

/** Keys alone do something only where nobody types, and can be switched off (WCAG 2.1.4). @param {KeyboardEvent} event */
function onKey(event) {
  if (view !== "live" || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
  if (remembered(KEYS) === "off" || document.querySelector("dialog[open]")) return;
  const target = /** @type {Element} */ (event.target);
  if (target.closest("input, textarea, select, [contenteditable]")) return;
  const act = {
    p: togglePause,
    m: toggleMute,
    e: askToEnd,
    c: () => talk && copy(talk.session.code, $("copy-code")),
    "+": () => changeVolume(1),
    "=": () => changeVolume(1),
    "-": () => changeVolume(-1),
  }[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  void act();
}

/** @param {string} text @returns {Record<string, any>} */
function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

function showTexts() {
  i18n.apply();
  document.title = `${i18n.t("page")} · Babelcast`;
  showSources();
  transcript.relabel();
  void listMicrophones();
  if (talk) {
    showInvitation(talk);
    showStatus(talk);
    showControls(talk);
    showLink(talk);
  }
}

function showSources() {
  const list = /** @type {HTMLSelectElement} */ ($("source"));
  const sources = /** @type {string[]} */ (config.languages?.sources ?? ["en"]);
  const chosen = list.value || remembered(SOURCE);
  const options = sources.map((code) => new Option(i18n.languageName(code), code));
  list.replaceChildren(...options.sort((a, b) => a.text.localeCompare(b.text, i18n.language)));
  list.value = sources.includes(chosen) ? chosen : guess(sources);
}

function listen() {
  const languages = /** @type {HTMLSelectElement} */ ($("page-language"));
  languages.replaceChildren(
    ...PAGE_LANGUAGES.map((code) => {
      const option = new Option(i18n.languageName(code, { own: true }), code);
      option.lang = code;
      return option;
    }),
  );
  languages.value = i18n.language;
  languages.addEventListener("change", async () => {
    i18n = await i18n.change(languages.value);
    showTexts();
  });

  $("local").addEventListener("click", () => signin.local().then(signedIn).catch(signInFailed));
  $("login").addEventListener("click", () => signin.leaveToLogIn(config.signIn.login).catch(signInFailed));
  $("paste-open").addEventListener("click", () => {
    $("paste").hidden = false;
    $("paste-open").hidden = true;
    $("token").focus();
  });
  $("paste").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ ($("token"));
    const right = signin.looksRight(field.value);
    field.setAttribute("aria-invalid", String(!right));
    if (!right) {
      alert(i18n.t("signin.wrong"));
      field.focus();
      return;
    }
    void signedIn(field.value.trim());
    field.value = "";
  });
  $("sign-out").addEventListener("click", () => signOut(""));

  $("microphone").addEventListener("change", (event) => {
    const list = /** @type {HTMLSelectElement} */ (event.target);
    list.dataset.chosen = list.value;
    void openMicrophone();
  });
  for (const name of ["echo", "noise", "gain"]) {
    const box = /** @type {HTMLInputElement} */ ($(name));
    box.checked = switches[name];
    box.addEventListener("change", () => {
      switches[name] = box.checked;
      remember(SWITCHES, JSON.stringify(switches));
      void openMicrophone();
    });
  }
  microphone.addEventListener("piece", (event) => onPiece(/** @type {CustomEvent} */ (event)));
  microphone.addEventListener("level", (event) => meter.take(/** @type {CustomEvent} */ (event).detail));
  microphone.addEventListener("lost", microphoneLost);
  microphone.addEventListener("devices", () => void devicesChanged());
  microphone.addEventListener("silenced", () => talk && warn("silenced", i18n.t("mic.silenced"), ""));
  microphone.addEventListener("heard", () => clearWarning("silenced"));

  $("setup").addEventListener("submit", (event) => {
    event.preventDefault();
    void start();
  });
  $("copy-code").addEventListener("click", () => talk && copy(talk.session.code, $("copy-code")));
  $("copy-link").addEventListener("click", () => talk && copy(talk.joinUrl, $("copy-link")));
  $("share").addEventListener("click", () => {
    if (!talk) return;
    const text = i18n.t("live.shareText", { code: talk.session.code });
    navigator.share({ title: "Babelcast", text, url: talk.joinUrl }).catch(() => {});
  });
  $("show").addEventListener("click", showRoom);
  $("qr-open").addEventListener("click", showRoom);
  $("link-retry").addEventListener("click", () => talk?.session.retryNow());

  $("pause").addEventListener("click", togglePause);
  $("mute").addEventListener("click", toggleMute);
  $("volume").addEventListener("input", (event) => {
    control({ volume: Number(/** @type {HTMLInputElement} */ (event.target).value) / 100 });
  });
  $("end").addEventListener("click", askToEnd);
  $("confirm").addEventListener("close", () => {
    if (/** @type {HTMLDialogElement} */ ($("confirm")).returnValue === "end") void end();
  });
  $("again").addEventListener("click", () => {
    if (!signin.kept()) return signOut("");
    go("setup");
    void openMicrophone();
  });
  const keys = /** @type {HTMLInputElement} */ ($("keys-on"));
  const showKeys = () => (document.body.dataset.keys = keys.checked ? "on" : "off");
  keys.checked = remembered(KEYS) !== "off";
  showKeys();
  keys.addEventListener("change", () => {
    remember(KEYS, keys.checked ? "on" : "off");
    showKeys();
  });
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => {
    void stayAwake();
    if (talk) void microphone.wake();
  });
  document.addEventListener("pointerdown", () => void microphone.wake(), { passive: true });
  addEventListener("beforeunload", (event) => {
    if (talk) event.preventDefault();
  });
  setInterval(() => {
    if (!talk || view !== "live") return;
    $("clock").textContent = clock(Date.now() - talk.began);
    if (talk.session.state === "open") showLink(talk);
  }, 1000);
  setInterval(() => {
    if (talk && view === "live" && talk.session.state === "open") talk.session.send({ action: "getSessionStatus" });
  }, STATUS_MS);
}

/** Whether this tab had a talk a moment ago, and has it again. */
async function goOn() {
  const kept = parsed(sessionStorage.getItem(TALK) ?? "");
  sessionStorage.removeItem(TALK);
  if (!kept.code || Date.now() - kept.at > 12 * 3600_000) return false;
  await openMicrophone();
  try {
    const { code: sessionId, resumeToken, source, joinUrl } = kept;
    await begin(source, () => ({ action: "refreshConnection", sessionId, resumeToken }), joinUrl);
  } catch {
    talk = null;
    return false;
  }
  const mine = talk;
  const said = await fetch(`/sessions/${kept.code}/transcript.json?lang=${kept.source}`).then((r) => r.json()).catch(() => ({}));
  if (talk !== mine) return true;
  for (const line of said.segments ?? []) {
    const { segmentId, text, revision = 0 } = line;
    if (segmentId) transcript.show({ segmentId: String(segmentId), revision, text, stableText: text, isFinal: true }, kept.source);
  }
  return true;
}

async function main() {
  listen();
  showTexts();
  config = await fetch("/config.json").then((answer) => answer.json()).catch(() => config);
  showSources();
  try {
    const fresh = await signin.comeBack(config.signIn.login);
    if (fresh) return await signedIn(fresh);
  } catch (error) {
    return signInFailed(error);
  }
  token = signin.kept();
  if (token && (await goOn())) return;
  if (token) await signedIn(token);
  else showSignIn();
}

await main();
