// @ts-check
/** The listener's page: joining, and listening. */
import { Captions } from "./captions.js";
import { keepAwake, keepLook, readLook, showLook, SIZES } from "./display.js";
import { guess, I18n, PAGE_LANGUAGES, remember, remembered } from "./i18n.js";
import { ProtocolError, Session } from "./net.js";
import { canDecodeOpus, KEPT_S, Player } from "./player.js";

const REMEMBERED_LANGUAGE = "babelcast.language";
const SEAT = "babelcast.seat";
/** Late joiners are shown the last three minutes. */
const HISTORY_S = 180;
/** So many seconds behind the speaker, "skip" is offered. */
const FAR_BEHIND_S = 8;
/** Captions that came before are not read out to who just came. */
const SILENT_FOR_MS = 1500;
const USUAL = ["ar", "de", "en", "es", "fr", "it", "pt"];
const CODE = /^[a-z]{2,16}-[a-z]{2,16}-[1-9][0-9]{2}$/;

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

let i18n = await I18n.load();
let look = readLook({ size: innerWidth >= 1600 ? 4 : innerWidth >= 1000 ? 3 : 2 });
/** @type {Session | null} */
let session = null;
/** @type {Player | null} */
let player = null;
/** Whether a screen reader is told captions; null: while no voice is heard. @type {boolean | null} */
let announcing = null;
let source = "";
let joinedAt = 0;
let withVoice = true;
let opus = true;
/** @type {Record<string, string[]>} */
let targets = {};
/** @type {Record<string, any> | null} */
let broadcast = null;
/** Stations that failed: component → the server's message. */
const degraded = new Set();
let sleep = () => {};

const captions = new Captions($("captions"), {
  onFinal: announce,
  onFollow: (following) => ($("newest").hidden = following),
});

// ---- texts and looks

function showTexts() {
  i18n.apply();
  document.title = session?.code ? `${session.code} · Babelcast` : "Babelcast";
  const select = $("page-language");
  select.replaceChildren(...PAGE_LANGUAGES.map((l) => option(l, i18n.languageName(l, { own: true }), l)));
  select.value = i18n.language;
  $("language").setAttribute("aria-label", i18n.t("language"));
  showControls();
  showStatus();
  if (!$("ended").hidden) showDownloads();
}

/** @param {string} value @param {string} text @param {string} lang */
function option(value, text, lang) {
  const made = new Option(text, value);
  made.lang = lang;
  return made;
}

/** @param {string[]} languages @param {string} chosen */
function showLanguages(languages, chosen) {
  const named = [...new Set(languages)].map((l) => ({ l, name: i18n.languageName(l, { own: true }) }));
  named.sort((a, b) => a.name.localeCompare(b.name, i18n.language));
  $("language").replaceChildren(...named.map(({ l, name }) => option(l, name, l)));
  $("language").value = languages.includes(chosen) ? chosen : guess(languages);
}

function showLookOf() {
  showLook(look);
  keepLook(look);
  $("contrast").setAttribute("aria-pressed", String(look.contrast));
  $("original").setAttribute("aria-pressed", String(look.original));
  $("size-down").disabled = look.size === 0;
  $("size-up").disabled = look.size === SIZES.length - 1;
  $("theme").value = look.theme;
  captions.reflow();
}

/** @param {Partial<import("./display.js").Look>} change */
function changeLook(change) {
  look = { ...look, ...change };
  showLookOf();
}

// ---- joining

/** @param {string} typed */
function tidy(typed) {
  const last = typed.trim().replace(/[?#].*$/, "").replace(/\/+$/, "").split("/").pop() || ""; // a pasted link
  return last.toLowerCase().replace(/[\s_.–—]+/g, "-").replace(/^-+|-+$/g, "");
}

/** @param {string} text */
function problem(text) {
  $("problem").textContent = text;
  $("code").setAttribute("aria-invalid", String(Boolean(text)));
}

/** @param {SubmitEvent} event */
async function join(event) {
  event.preventDefault();
  if (session) return;
  const code = tidy($("code").value);
  $("code").value = code;
  if (!CODE.test(code)) {
    problem(i18n.t(code ? "error.INVALID_SESSION_ID" : "code.missing"));
    $("code").focus();
    return;
  }
  problem("");
  withVoice = !$("quiet").checked;
  const seat = takeSeat(code);
  const joining = new Session({ role: "listener", opening: () => opening(code), resumeToken: seat });
  session = joining;
  if (withVoice) {
    player = new Player($("voice"), () => Date.now() + joining.clockOffsetMs);
    player.addEventListener("change", onPlayer);
    player.addEventListener("unplayable", () => changeToPcm());
    player.unlock(); // at once: a browser lets only a press of a button begin sound
  }
  $("listen").disabled = true;
  listenTo(joining);
  try {
    opus = withVoice && (await canDecodeOpus());
    await joining.start();
    if (seat) void readAgain(joining);
  } catch (error) {
    if (session !== joining) return;
    player?.stop();
    player = session = null;
    showJoin();
    problem(error instanceof ProtocolError ? explain(error) : i18n.t("error.other"));
    $("code").focus();
  } finally {
    $("listen").disabled = false;
    $("listen").firstElementChild.textContent = i18n.t("listen");
  }
}

/** @param {string} code */
function opening(code) {
  return {
    action: "joinSession",
    sessionId: code,
    targetLanguage: $("language").value,
    audio: withVoice ? (opus ? "opus" : "pcm") : "none",
    delivery: "binary",
    captions: "partial",
    history: HISTORY_S,
  };
}

/** A clip that cannot be decoded: ask for plain samples from the next connection on. */
function changeToPcm() {
  if (!opus) return;
  opus = false;
  session?.renew();
}

/** @param {ProtocolError} error */
function explain(error) {
  const available = error.details.available;
  if (error.code !== "UNSUPPORTED_LANGUAGE" || !Array.isArray(available)) return i18n.error(error);
  showLanguages(available, $("language").value);
  const names = available.map((language) => i18n.languageName(language));
  const list = new Intl.ListFormat(i18n.language, { type: "conjunction" }).format(names);
  return i18n.t("error.UNSUPPORTED_LANGUAGE.available", { languages: list });
}

/** What an earlier page of this tab may come back with; it works once. @param {string} code */
function takeSeat(code) {
  try {
    const seat = JSON.parse(sessionStorage.getItem(SEAT) || "{}");
    sessionStorage.removeItem(SEAT);
    return seat.code === code ? seat.token : "";
  } catch {
    return "";
  }
}

/** Only when the page goes away: a tab that is duplicated must not take the other's seat. */
function keepSeat() {
  if (!session?.resumeToken || session.state === "ended") return;
  try {
    sessionStorage.setItem(SEAT, JSON.stringify({ code: session.code, token: session.resumeToken }));
  } catch {
    // then it is a new seat
  }
}

function showJoin() {
  $("live").hidden = true;
  $("join").hidden = false;
  $("language-home").append($("language"));
  $("page-language-home").append($("page-language"));
}

function showLive() {
  $("join").hidden = true;
  $("live").hidden = false;
  $("language-live").append($("language"));
  $("language").classList.add("compact");
  $("page-language-live").append($("page-language"));
  $("page-language").classList.remove("compact");
}

// ---- listening

/** @param {Session} joining */
function listenTo(joining) {
  joining.on("state", ({ state, seconds, error }) => showConnection(joining, state, seconds, error));
  joining.on("sessionJoined", (message) => arrived(joining, message));
  joining.on("resumed", () => {
    degraded.clear();
    void joining.request({ action: "getSessionStatus" }).then((status) => setBroadcast(status.broadcastState), () => {});
  });
  joining.on("languageChanged", (message) => {
    remember(REMEMBERED_LANGUAGE, message.targetLanguage);
    $("language").value = message.targetLanguage;
    degraded.clear();
    showTrouble();
    showControls();
  });
  joining.on("caption", (message) => {
    if (message.targetLanguage === joining.language) take(message);
  });
  joining.on("transcript", (message) => {
    if (joining.language === source) take(message);
  });
  joining.on("voice", (voice) => void player?.add(voice));
  joining.on("sessionEnded", ended);
  for (const type of [
    "broadcastPaused",
    "broadcastResumed",
    "broadcastMuted",
    "broadcastUnmuted",
    "speakerStateChanged",
  ]) {
    joining.on(type, (message) => setBroadcast(message.broadcastState));
  }
  joining.on("serviceDegraded", ({ component }) => {
    degraded.add(component);
    showTrouble();
  });
  joining.on("systemRecovered", ({ component }) => {
    degraded.delete(component);
    showTrouble();
  });
}

/** @param {Session} joined @param {Record<string, any>} message */
function arrived(joined, message) {
  source = message.sourceLanguage;
  captions.sourceLanguage = source;
  broadcast = message.broadcastState;
  joinedAt = Date.now();
  remember(REMEMBERED_LANGUAGE, message.targetLanguage);
  if ($("live").hidden) {
    showLive();
    history.replaceState(null, "", `/${message.sessionId}${location.search}`);
    $("title").textContent = message.sessionId;
    $("stage-link").href = `/${message.sessionId}/stage?lang=${message.targetLanguage}`;
    player?.describe({ title: message.sessionId, artist: "Babelcast" });
    if (!withVoice) sleep = keepAwake();
    captions.reflow();
    $("captions").focus({ preventScroll: true });
  }
  void joined.request({ action: "listLanguages" }).then((languages) => {
    targets = languages.targets;
    showLanguages([source, ...(targets[source] || [])], joined.language);
  }, () => {});
  showTexts();
}

/** Who comes back to a seat is told what it missed there, but this page has forgotten all. @param {Session} joined */
async function readAgain(joined) {
  const url = `/sessions/${joined.code}/transcript.json?lang=${joined.language}`;
  const kept = await fetch(url).then((answer) => (answer.ok ? answer.json() : {}), () => ({}));
  if (session !== joined || kept.language !== joined.language) return;
  const since = Date.now() + joined.clockOffsetMs - HISTORY_S * 1000;
  for (const { segmentId, revision, text, sourceText, timestamp } of kept.segments) {
    if (timestamp < since) continue;
    take({ segmentId, revision, text, sourceText, targetLanguage: joined.language, isFinal: true });
  }
}

/** @param {Record<string, any>} message */
function take(message) {
  $("waiting").hidden = true;
  captions.take(message);
}

/** @param {Record<string, any> | undefined} state */
function setBroadcast(state) {
  broadcast = state || broadcast;
  showStatus();
}

async function changeLanguage() {
  const wanted = $("language").value;
  if (!session || session.state === "failed" || wanted === session.language) return;
  try {
    await session.request({ action: "changeLanguage", targetLanguage: wanted });
  } catch (error) {
    if (error instanceof ProtocolError) {
      $("language").value = session.language;
      notice(explain(error));
    } else {
      changeAfterReturn(session, wanted);
    }
  }
}

/** The connection is away: change when it is back. @param {Session} from @param {string} wanted */
function changeAfterReturn(from, wanted) {
  const again = () => {
    if ($("language").value === wanted) void changeLanguage();
  };
  from.addEventListener("resumed", again, { once: true });
}

// ---- what is shown

/** @param {Session} from @param {string} state @param {number} seconds @param {ProtocolError | null} error */
function showConnection(from, state, seconds, error) {
  if (session !== from) return;
  const away = state === "waiting" || state === "offline" || (state === "connecting" && from.code !== "");
  if ($("live").hidden) {
    const shown = state === "waiting" ? i18n.t("reconnecting.in", { seconds }) : state === "offline" ? i18n.t("offline") : "";
    if (shown) problem(shown);
    if (state === "connecting") $("listen").firstElementChild.textContent = i18n.t("connecting");
    return;
  }
  $("connection").hidden = !(away || state === "failed");
  $("connection").classList.toggle("bad", state === "failed");
  $("retry").hidden = state !== "waiting";
  if (state === "waiting") $("connection-text").textContent = i18n.t("reconnecting.in", { seconds });
  else if (state === "offline") $("connection-text").textContent = i18n.t("offline");
  else if (state === "failed") $("connection-text").textContent = error ? explain(error) : i18n.t("error.other");
  else $("connection-text").textContent = i18n.t("reconnecting");
  showStatus();
  showControls();
}

function showStatus() {
  const chip = $("status");
  if (!session) return;
  let key = "live";
  if (session.state === "ended") key = "over";
  else if (session.state !== "open") key = "away";
  else if (broadcast?.isPaused) key = "speaker.paused";
  else if (broadcast?.isMuted) key = "speaker.muted";
  const text = i18n.t(`status.${key}`);
  if (chip.textContent !== text) chip.textContent = text; // told to screen readers, so only when it changes
  chip.className = key === "live" ? "chip live" : key === "away" ? "chip warn" : "chip";
}

function showTrouble() {
  const worst = ["transcription", "translation", "speech"].find((component) => degraded.has(component));
  $("trouble").hidden = !worst;
  $("trouble").textContent = worst ? i18n.t(`degraded.${worst}`) : "";
}

/** @param {string} text */
function notice(text) {
  $("trouble").hidden = false;
  $("trouble").textContent = text;
  setTimeout(showTrouble, 8000);
}

function hasVoice() {
  if (!player || !session || session.language === source) return false;
  return session.state !== "ended" || player.sounding || player.keptS > 0; // what was sent is still played
}

function onPlayer() {
  if (session?.state === "ended" && !hasVoice()) player?.stop(); // the last words were said
  showControls();
}

function showControls() {
  const voice = hasVoice();
  for (const id of ["pause", "volume"]) $(id).hidden = !voice;
  if (player) {
    const label = i18n.t(player.paused ? "play" : "pause");
    if ($("pause").getAttribute("aria-label") !== label) {
      $("pause").setAttribute("aria-label", label);
      $("pause").title = label;
    }
    $("pause-icon").setAttribute("d", player.paused ? "M7 4.5 19 12 7 19.5Z" : "M8 5v14M16 5v14");
  }
  showBehind();
  const reads = announcing ?? !(voice && player && !player.paused && player.volume > 0);
  $("announce").checked = reads;
  $("reader").setAttribute("aria-live", reads ? "polite" : "off");
}

function showBehind() {
  const seconds = player?.behindS ?? null;
  let text = "";
  if (!hasVoice()) text = session && withVoice && session.language === source ? i18n.t("source.no.voice") : "";
  else if (player?.paused) {
    const kept = Math.min(KEPT_S, player.keptS);
    text = kept >= 1 ? i18n.t("paused.kept", { seconds: i18n.number(Math.floor(kept)) }) : i18n.t("paused");
  } else if (seconds !== null) text = i18n.t("behind", { seconds: i18n.number(seconds, 1) });
  if ($("behind").textContent !== text) $("behind").textContent = text;
  const far = Boolean(player && !player.paused && seconds !== null && seconds > FAR_BEHIND_S && player.keptS > 3);
  $("skip").hidden = !(far && hasVoice());
}

/** @param {string} text @param {string} language */
function announce(text, language) {
  const log = $("reader");
  if (log.getAttribute("aria-live") === "off" || Date.now() - joinedAt < SILENT_FOR_MS) return;
  const line = log.appendChild(document.createElement("p"));
  line.lang = language;
  line.textContent = text;
  while (log.childElementCount > 5) log.firstElementChild.remove();
}

/** @param {Record<string, any>} message */
function ended(message) {
  $("ended").hidden = false;
  $("waiting").hidden = true;
  $("connection").hidden = true;
  const key = `ended.${message.reason}`;
  $("ended-why").textContent = i18n.has(key) ? i18n.t(key) : "";
  $("language").disabled = true;
  onPlayer();
  showDownloads();
  captions.follow();
  $("ended").focus({ preventScroll: true });
  sleep();
}

function showDownloads() {
  const code = session?.code || "";
  const rows = [...new Set([session?.language || "", source])].filter(Boolean).map((language) => {
    const name = document.createElement("span");
    name.textContent = i18n.t("transcript.in", { language: i18n.languageName(language) });
    const links = document.createElement("span");
    links.className = "row";
    for (const format of ["txt", "srt", "vtt"]) {
      const link = links.appendChild(document.createElement("a"));
      link.className = "button";
      link.href = `/sessions/${code}/transcript.${format}?lang=${language}`;
      link.download = "";
      link.textContent = format.toUpperCase();
      link.dataset.testid = `download-${format}-${language}`;
      link.setAttribute("aria-label", `${format.toUpperCase()}: ${name.textContent}`);
    }
    return [name, links];
  });
  $("downloads").replaceChildren(...rows.flat());
}

// ---- controls

$("form").addEventListener("submit", join);
// The focus that comes from a finger does not show, here and where it goes from here.
$("listen").addEventListener("pointerdown", () => $("listen").blur());
$("language").addEventListener("change", () => {
  remember(REMEMBERED_LANGUAGE, $("language").value);
  if (session) void changeLanguage();
});
$("page-language").addEventListener("change", async () => {
  i18n = await i18n.change($("page-language").value);
  showTexts();
});
$("pause").addEventListener("click", () => (player?.paused ? player.resume() : player?.pause()));
$("volume").addEventListener("input", () => {
  if (player) player.volume = $("volume").valueAsNumber / 100;
  $("volume").setAttribute("aria-valuetext", `${$("volume").value} %`);
  showControls();
});
$("skip").addEventListener("click", () => player?.skipToNow());
$("retry").addEventListener("click", () => session?.retryNow());
$("newest").addEventListener("click", () => {
  captions.follow();
  $("captions").focus({ preventScroll: true });
});
$("size-up").addEventListener("click", () => changeLook({ size: Math.min(SIZES.length - 1, look.size + 1) }));
$("size-down").addEventListener("click", () => changeLook({ size: Math.max(0, look.size - 1) }));
$("contrast").addEventListener("click", () => changeLook({ contrast: !look.contrast }));
$("original").addEventListener("click", () => changeLook({ original: !look.original }));
$("theme").addEventListener("change", () => changeLook({ theme: $("theme").value }));
$("announce").addEventListener("change", () => {
  announcing = $("announce").checked;
  showControls();
});
$("fullscreen").hidden = !document.fullscreenEnabled;
$("fullscreen").addEventListener("click", () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void document.documentElement.requestFullscreen().catch(() => {});
});
document.addEventListener("fullscreenchange", () => {
  $("fullscreen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement)));
});

/** @param {boolean} open */
function openMore(open) {
  $("more").hidden = !open;
  $("more-button").setAttribute("aria-expanded", String(open));
}
$("more-button").addEventListener("click", () => {
  openMore($("more").hidden);
  if (!$("more").hidden) $("announce").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || $("more").hidden) return;
  openMore(false);
  $("more-button").focus();
});
document.addEventListener("pointerdown", (event) => {
  const inside = event.target instanceof Node && ($("more").contains(event.target) || $("more-button").contains(event.target));
  if (!inside) openMore(false);
});
addEventListener("pagehide", keepSeat);
setInterval(showBehind, 500);

// ---- at first

const path = location.pathname.split("/")[1] || "";
const query = new URLSearchParams(location.search);
if (path) $("code").value = tidy(path);
const first = query.get("lang") || remembered(REMEMBERED_LANGUAGE);
showLanguages([...USUAL, ...(first ? [first] : [])], first);
showLookOf();
showJoin();
showTexts();
if (path) $("listen").focus();
else $("code").focus();

try {
  const settings = await (await fetch("/config.json")).json();
  const all = settings.languages;
  if (all) {
    const known = [...new Set([...all.sources, ...Object.values(all.targets).flat()])];
    const joined = !$("live").hidden;
    if (!joined && known.length) showLanguages(known, $("language").value);
  }
} catch {
  // the usual languages are offered; the server says which it has when one joins
}
