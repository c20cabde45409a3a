// Links to the transcript: each language that was spoken, in each format.

const FORMATS = ["txt", "srt", "vtt"];

/**
 * @param {HTMLElement} place Its content is replaced, when it differs.
 * @param {string} sessionId @param {string[]} languages The spoken one first.
 * @param {import("./i18n.js").I18n} i18n
 */
export function show(place, sessionId, languages, i18n) {
  const key = [sessionId, i18n.language, ...languages].join(" ");
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  place.replaceChildren(...languages.map((language) => row(sessionId, language, i18n)));
}

/** @param {string} sessionId @param {string} language @param {import("./i18n.js").I18n} i18n */
function row(sessionId, language, i18n) {
  const line = document.createElement("p");
  line.className = "sp-download";
  line.dataset.language = language;
  const name = document.createElement("span");
  name.textContent = i18n.languageName(language);
  line.append(name);
  for (const format of FORMATS) {
    const link = document.createElement("a");
    link.href = `/sessions/${encodeURIComponent(sessionId)}/transcript.${format}?lang=${encodeURIComponent(language)}`;
    link.download = `${sessionId}.${language}.${format}`;
    link.textContent = format.toUpperCase();
    link.setAttribute("aria-label", `${i18n.languageName(language)}: ${i18n.t(`format.${format}`)}`);
    line.append(link);
  }
  return line;
}
