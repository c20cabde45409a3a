// The level of the microphone, at most 30 frames a second, by transforms alone.

/** @typedef {import("./capture.js").Level} Level */

/** Below this nothing is shown, dB of full scale. */
const FLOOR_DB = -60;
const FRAME_MS = 1000 / 30 - 4; // screens do not keep time to the millisecond
const FALL_DB_PER_S = 40;
const HOLD_MS = 1200;
const CLIPPED_MS = 1500;

export class Meter {
  /**
   * @param {HTMLElement} root Has the children .meter-bar and .meter-peak.
   * @param {{ calm: MediaQueryList }} settings `calm` where motion is not wanted: the bar then moves in few steps.
   */
  constructor(root, { calm }) {
    this._root = root;
    this._bar = /** @type {HTMLElement} */ (root.querySelector(".meter-bar"));
    this._mark = /** @type {HTMLElement} */ (root.querySelector(".meter-peak"));
    this._calm = calm;
    this._heard = FLOOR_DB;
    this._shown = FLOOR_DB;
    this._peak = FLOOR_DB;
    this._peakAt = -Infinity;
    this._clippedAt = -Infinity;
    this._drawnAt = 0;
    this._toldAt = 0;
    this._frame = 0;
  }

  /** @param {Level} level */
  take({ peak, clipped }) {
    this._heard = Math.max(this._heard, decibels(peak));
    if (clipped) this._clippedAt = performance.now();
  }

  start() {
    if (this._frame) return;
    const draw = (/** @type {number} */ now) => {
      this._frame = requestAnimationFrame(draw);
      const frame = this._calm.matches ? 250 : FRAME_MS;
      if (now - this._drawnAt >= frame) this._draw(now);
    };
    this._frame = requestAnimationFrame(draw);
  }

  stop() {
    cancelAnimationFrame(this._frame);
    this._frame = 0;
    this._heard = this._shown = this._peak = FLOOR_DB;
    this._draw(performance.now());
  }

  /** @param {number} now */
  _draw(now) {
    const passed = Math.min(0.5, (now - this._drawnAt) / 1000);
    this._drawnAt = now;
    this._shown = Math.max(this._heard, this._shown - FALL_DB_PER_S * passed, FLOOR_DB);
    this._heard = FLOOR_DB;
    if (this._shown >= this._peak || now - this._peakAt > HOLD_MS) {
      this._peak = this._shown;
      this._peakAt = now;
    }
    const steps = this._calm.matches ? 8 : 1000;
    const part = Math.round(share(this._shown) * steps) / steps;
    this._bar.style.transform = `scaleX(${part})`;
    this._mark.style.transform = `translateX(${100 * share(this._peak)}%)`;
    const clipping = now - this._clippedAt < CLIPPED_MS;
    this._root.dataset.level = clipping ? "clipping" : this._shown > -9 ? "loud" : "good";
    if (now - this._toldAt > 500) {
      this._toldAt = now;
      this._root.setAttribute("aria-valuenow", String(Math.round(100 * share(this._shown))));
    }
  }
}

/** @param {number} size Of full scale. */
function decibels(size) {
  return size > 0 ? Math.max(FLOOR_DB, 20 * Math.log10(size)) : FLOOR_DB;
}

/** @param {number} db */
function share(db) {
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}
