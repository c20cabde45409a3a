// @ts-check
/**
 * Captions that never jump.
 *
 * A sentence that is still being said grows in its place; the column moves up by some rows at once only when it
 * comes to the lower edge, so that the eye rests in between. A line never gets lower while others stand below
 * it, and what comes late, or is corrected, above what is being read does not move what is being read. Who
 * scrolls back is left alone until they come back to the end.
 *
 * Each line is an element with data-segment and data-final.
 */
import { direction } from "./i18n.js";

const LINES_AT_MOST = 400;
/** Rows that stay free below the newest line after the column has moved. */
const RESERVED_ROWS = 3;
const AT_END_PX = 60;
/** An open line that so many finished ones have followed will not be finished. */
const FORSAKEN_AFTER = 3;

/**
 * How much of `text` was there before as well, up to a word's end.
 * @param {string} before
 * @param {string} text
 */
export function settled(before, text) {
  let same = 0;
  while (same < before.length && before[same] === text[same]) same++;
  if (same === text.length) return text;
  return text.slice(0, text.lastIndexOf(" ", same) + 1);
}

/** Whether segment `a` was said before `b`. @param {string} a @param {string} b */
export function before(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a < b : x < y;
}

/**
 * @typedef {object} Line
 * @property {string} segment
 * @property {number} revision
 * @property {string} language
 * @property {boolean} final
 * @property {string} text
 * @property {number} tallest px
 * @property {HTMLElement} element
 * @property {HTMLElement} body
 * @property {HTMLElement} source
 */

export class Captions {
  /**
   * @param {HTMLElement} container scrolls
   * @param {object} [options]
   * @param {(text: string, language: string, corrected: boolean) => void} [options.onFinal]
   * @param {(following: boolean) => void} [options.onFollow]
   */
  constructor(container, { onFinal = () => {}, onFollow = () => {} } = {}) {
    this.container = container;
    this.sourceLanguage = "";
    this._onFinal = onFinal;
    this._onFollow = onFollow;
    /** @type {Line[]} in the order in which they were said */
    this._lines = [];
    this._following = true;
    this._movingUntil = 0;
    container.addEventListener("scroll", () => this._onScroll(), { passive: true });
    for (const name of ["wheel", "touchmove", "keydown"]) {
      container.addEventListener(name, () => (this._movingUntil = 0), { passive: true });
    }
    if (typeof ResizeObserver === "function") new ResizeObserver(() => this.reflow()).observe(container);
  }

  get empty() {
    return this._lines.length === 0;
  }

  /**
   * Take in a caption or a transcript. One that is older than what is shown changes nothing.
   * @param {Record<string, any>} message
   */
  take(message) {
    const language = message.targetLanguage || this.sourceLanguage;
    const known = this._lines.find((line) => line.segment === message.segmentId);
    if (known && !this._isNews(known, message, language)) return;
    if (!message.text) {
      if (known) this._remove(known);
      return;
    }
    const anchor = this._anchor(message.segmentId);
    const line = known || this._insert(message.segmentId);
    this._write(line, message, language);
    this._hold(anchor);
    if (message.isFinal) this._forsake();
    if (!known) this._trim();
    this._follow();
  }

  /** Sizes have changed: forget measured heights and go to the end. */
  reflow() {
    for (const line of this._lines) {
      line.tallest = 0;
      line.element.style.minHeight = "";
    }
    this._follow({ now: true, atOnce: true });
  }

  /** Go to the newest line and stay there. */
  follow() {
    this._setFollowing(true);
    this._follow({ now: true });
  }

  clear() {
    for (const line of this._lines) line.element.remove();
    this._lines = [];
    this._setFollowing(true);
  }

  // ---- lines

  /** @param {Line} line @param {Record<string, any>} message @param {string} language */
  _isNews(line, message, language) {
    if (language !== line.language) return message.isFinal || !line.final;
    return message.revision > line.revision || (message.isFinal && !line.final);
  }

  /** @param {string} segment @returns {Line} */
  _insert(segment) {
    const element = document.createElement("div");
    element.className = "line";
    element.dataset.segment = segment;
    const body = element.appendChild(document.createElement("p"));
    body.className = "text";
    const source = element.appendChild(document.createElement("p"));
    source.className = "source";
    const line = { segment, revision: -1, language: "", final: false, text: "", tallest: 0, element, body, source };
    let at = this._lines.length;
    while (at > 0 && before(segment, this._lines[at - 1].segment)) at--;
    this.container.insertBefore(element, this._lines[at]?.element || null);
    this._lines.splice(at, 0, line);
    return line;
  }

  /** @param {Line} line @param {Record<string, any>} message @param {string} language */
  _write(line, message, language) {
    const corrected = line.final && line.language === language && line.text !== message.text;
    const first = !line.final && message.isFinal;
    const stable = message.isFinal ? message.text : (message.stableText ?? settled(line.text, message.text));
    line.body.lang = line.language = language;
    line.body.dir = direction(language);
    line.body.textContent = stable;
    if (stable.length < message.text.length) {
      const rest = line.body.appendChild(document.createElement("span"));
      rest.className = "tentative";
      rest.textContent = message.text.slice(stable.length);
    }
    if (message.sourceText) {
      line.source.lang = this.sourceLanguage;
      line.source.dir = direction(this.sourceLanguage);
      line.source.textContent = message.sourceText;
    }
    line.revision = message.revision;
    line.final = line.final || message.isFinal;
    line.text = message.text;
    line.element.dataset.final = String(line.final);
    line.element.classList.toggle("corrected", corrected);
    this._keepHeight(line);
    if (first || corrected) this._onFinal(message.text, language, corrected);
  }

  /** A line with others below it does not shrink. @param {Line} line */
  _keepHeight(line) {
    line.element.style.minHeight = "";
    const height = line.element.offsetHeight;
    const last = line === this._lines.at(-1);
    if (!last && height < line.tallest) line.element.style.minHeight = `${line.tallest}px`;
    else line.tallest = height;
  }

  /** @param {Line} line */
  _remove(line) {
    const anchor = this._anchor(line.segment);
    line.element.remove();
    this._lines = this._lines.filter((other) => other !== line);
    this._hold(anchor);
  }

  /** What was being said when its gateway went away is said again under another number. */
  _forsake() {
    let later = 0;
    for (const line of [...this._lines].reverse()) {
      if (line.final) later += 1;
      else if (later >= FORSAKEN_AFTER) this._remove(line);
    }
  }

  _trim() {
    if (!this._following) return;
    while (this._lines.length > LINES_AT_MOST) {
      const line = /** @type {Line} */ (this._lines.shift());
      const height = line.element.getBoundingClientRect().height;
      line.element.remove();
      this._scroll(this.container.scrollTop - height, true);
    }
  }

  // ---- places

  /**
   * What must not move when the segment changes: the newest line for who follows, else what is at the top.
   * @param {string} segment
   * @returns {{element: HTMLElement, top: number} | null}
   */
  _anchor(segment) {
    let line = this._lines.at(-1);
    if (!this._following) {
      const top = this.container.scrollTop;
      line = this._lines.find((other) => other.element.offsetTop + other.element.offsetHeight > top);
    }
    if (!line || line.segment === segment || before(line.segment, segment)) return null;
    return { element: line.element, top: line.element.offsetTop };
  }

  /** @param {{element: HTMLElement, top: number} | null} anchor */
  _hold(anchor) {
    if (!anchor) return;
    const moved = anchor.element.offsetTop - anchor.top;
    if (moved) this._scroll(this.container.scrollTop + moved, true);
  }

  /** Move up when the newest line has come to the lower edge, or `now`. */
  _follow({ now = false, atOnce = false } = {}) {
    const last = this._lines.at(-1);
    if (!this._following || !last) return;
    const row = parseFloat(getComputedStyle(last.body).lineHeight) || 32;
    const bottom = last.element.offsetTop + last.element.offsetHeight;
    const { scrollTop, clientHeight } = this.container;
    const room = Math.min(RESERVED_ROWS, Math.floor(clientHeight / row / 3)) * row;
    if (now || bottom + row * 0.4 > scrollTop + clientHeight) this._scroll(bottom + room - clientHeight, atOnce);
  }

  /** @param {number} top @param {boolean} atOnce */
  _scroll(top, atOnce) {
    const calm = atOnce || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this._movingUntil = performance.now() + 700;
    this.container.scrollTo({ top, behavior: calm ? "instant" : "smooth" });
  }

  _onScroll() {
    if (performance.now() < this._movingUntil) return; // that was us
    const last = this._lines.at(-1);
    if (!last) return;
    const bottom = last.element.offsetTop + last.element.offsetHeight;
    this._setFollowing(this.container.scrollTop + this.container.clientHeight > bottom - AT_END_PX);
  }

  /** @param {boolean} following */
  _setFollowing(following) {
    if (following === this._following) return;
    this._following = following;
    this._onFollow(following);
  }
}
