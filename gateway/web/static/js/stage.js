// @ts-check
/**
 * Captions for a projector, or as a layer over a picture (OBS: a browser source). All is in the address:
 *
 *     /golden-eagle-427/stage?lang=es,fr
 *       &layout=side|stacked     several languages; by default side by side where there is room
 *       &original=1              the original below (or beside) each sentence
 *       &background=transparent  nothing but the words
 *       &size=1.2                of the words, against the usual
 *       &theme=dark|light        by default dark
 *       &contrast=high
 *       &ui=fr                   language of the few words that are the page's own
 */
import { Captions } from "./captions.js";
import { keepAwake } from "./display.js";
import { baseLanguage, guess, I18n } from "./i18n.js";
import { ProtocolError, Session } from "./net.js";

const PANES_AT_MOST = 4;
const HISTORY_S = 60;

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

/**
 * What the address asks for.
 * @param {URLSearchParams} query
 */
export function wishes(query) {
  const languages = (query.get("lang") || "").split(/[,\s]+/).filter((l) => /^[A-Za-z]{2,3}(-|$)/.test(l));
  const size = Number(query.get("size"));
  const layout = query.get("layout");
  return {
    languages: [...new Set(languages.map(baseLanguage))].slice(0, PANES_AT_MOST),
    layout: layout === "side" || layout === "stacked" ? layout : "",
    size: size >= 0.4 && size <= 4 ? size : 1,
    transparent: query.get("background") === "transparent",
    original: ["1", "true", "yes"].includes(query.get("original") || ""),
    theme: query.get("theme") === "light" ? "light" : "dark",
    contrast: query.get("contrast") === "high",
  };
}

const i18n = await I18n.load();
const wished = wishes(new URLSearchParams(location.search));
if (!wished.languages.length) wished.languages = [guess(["en", "es", "fr", "de", "pt", "it", "ar"])];
const code = location.pathname.split("/")[1] || "";

const root = document.documentElement;
root.dataset.theme = wished.theme;
root.dataset.contrast = wished.contrast ? "high" : "";
root.dataset.original = String(wished.original);
root.dataset.background = wished.transparent ? "transparent" : "";
root.style.setProperty("--stage-scale", String(wished.size));
i18n.apply();
document.title = `${code} · Babelcast`;
$("title").textContent = code;

/** @type {Map<string, string>} language → what is wrong; empty when nothing is */
const states = new Map();

function layOut() {
  const panes = wished.languages.length;
  const stacked = wished.layout ? wished.layout === "stacked" : innerWidth < innerHeight || panes > 3;
  $("stage").dataset.layout = stacked ? "stacked" : "side";
  $("stage").dataset.panes = String(panes);
}

/** One line for all: the first thing that is wrong. */
function showStates() {
  const wrong = [...states.values()].find(Boolean) || "";
  if ($("status").textContent !== wrong) $("status").textContent = wrong;
}

/** @param {string} language */
function show(language) {
  const pane = document.createElement("section");
  pane.className = "pane";
  pane.dataset.testid = `pane-${language}`;
  const name = pane.appendChild(document.createElement("h2"));
  name.textContent = i18n.languageName(language, { own: true });
  name.lang = language;
  const area = pane.appendChild(document.createElement("div"));
  area.className = "captions";
  area.dataset.testid = "captions";
  area.dataset.language = language;
  area.tabIndex = 0;
  area.setAttribute("role", "region");
  area.setAttribute("aria-label", `${i18n.t("captions")}: ${i18n.languageName(language)}`);
  $("panes").append(pane);

  const captions = new Captions(area);
  const session = new Session({
    role: "listener",
    opening: () => ({
      action: "joinSession",
      sessionId: code,
      targetLanguage: language,
      audio: "none",
      delivery: "binary",
      captions: "partial",
      history: HISTORY_S,
    }),
  });
  /** @param {string} text */
  const say = (text) => {
    states.set(language, text);
    showStates();
  };
  session.on("sessionJoined", ({ sourceLanguage }) => (captions.sourceLanguage = sourceLanguage));
  session.on("caption", (message) => captions.take(message));
  session.on("transcript", (message) => captions.take(message));
  session.on("broadcastPaused", () => say(i18n.t("status.speaker.paused")));
  session.on("broadcastResumed", () => say(""));
  session.on("state", ({ state, seconds, error }) => {
    if (state === "waiting") say(i18n.t("reconnecting.in", { seconds }));
    else if (state === "offline") say(i18n.t("offline"));
    else if (state === "connecting") say(session.code ? i18n.t("reconnecting") : i18n.t("connecting"));
    else if (state === "ended") say(i18n.t("ended"));
    else if (state === "open") say("");
    else if (error?.code === "UNSUPPORTED_LANGUAGE") say(`${i18n.languageName(language)}: ${i18n.error(error)}`);
    else if (error) say(i18n.error(error));
  });
  void begin(session);
}

/** A stage is set up before the talk: whom the server turns away asks again. @param {Session} session */
async function begin(session) {
  try {
    await session.start();
  } catch (error) {
    if (error instanceof ProtocolError && error.code === "SESSION_ENDED") return;
    setTimeout(() => void begin(session), 5000 + Math.random() * 5000);
  }
}

layOut();
addEventListener("resize", layOut);
for (const language of wished.languages) show(language);
keepAwake();

const invitation = document.createElement("b");
invitation.className = "code";
invitation.textContent = `${location.host}/${code}`;
const [lead, rest = ""] = i18n.t("stage.invite", { url: "\u0000" }).split("\u0000");
$("invite").replaceChildren(lead, invitation, rest);

function toggleFullscreen() {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void root.requestFullscreen().catch(() => {});
}
$("fullscreen").hidden = !document.fullscreenEnabled;
$("fullscreen").addEventListener("click", toggleFullscreen);
document.addEventListener("fullscreenchange", () => {
  $("fullscreen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement)));
});
