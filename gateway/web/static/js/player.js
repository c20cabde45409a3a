// @ts-check
/**
 * The voice: sentences in order, one after the other, in the background too.
 *
 * Sentences are decoded with Web Audio and played into a real <audio> element (a MediaStream), which together
 * with a silent looped element and the Media Session keeps sounding when the phone is locked. Who falls behind
 * (after a pause, or a break of the connection) catches up at up to 1.25 times the pace, at the same pitch.
 * Paused, the last 30 s are kept. When the language changes, sentences already here in the old one go on until
 * the first in the new one is here.
 *
 * Events: "change" when it starts, stops, pauses or goes on; "unplayable" {header} for a clip that could not
 * be decoded.
 */
import { stretch } from "./stretch.js";

export const KEPT_S = 30;
export const QUICKEST = 1.25;
/** Together with the pace at which the server had it spoken. */
const QUICKEST_IN_ALL = 1.4;
const LEAD_S = 0.06;
const BETWEEN_S = 0.16;

/** A 20 ms Ogg Opus clip of silence; who decodes it can have Opus. */
const OPUS =
  "T2dnUwACAAAAAAAAAAA9Ska0AAAAAPao0rYBE09wdXNIZWFkAQE4AYC7AAAAAABPZ2dTAAAAAAAAAAAAAD1KRrQBAAAAs8WStQE2T3B1c1RhZ3MN" +
  "AAAATGF2ZjYyLjEyLjEwMgEAAAAVAAAAZW5jb2Rlcj1MYXZmNjIuMTIuMTAyT2dnUwAE+AQAAAAAAAA9Ska0AgAAAFmlwWYCBwYIC+Y7I6tgCAis" +
  "sw7G";

/**
 * @typedef {object} Clip
 * @property {Record<string, any>} header
 * @property {Float32Array | null} samples null until decoded
 * @property {number} sampleRate
 * @property {number} offset samples that were heard already
 * @property {number} readyAt ms, Date.now()
 * @property {number} segment
 */

/** Whether this browser decodes Ogg Opus (older Safari does not). */
export async function canDecodeOpus() {
  try {
    const bytes = Uint8Array.from(atob(OPUS), (c) => c.charCodeAt(0));
    const buffer = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(bytes.buffer);
    return buffer.length > 0;
  } catch {
    return false;
  }
}

/**
 * How quickly to play a sentence.
 * @param {object} at
 * @param {number} at.waitedS how long it has waited for its turn
 * @param {number} at.backlogS how much more waits behind it
 * @param {number} at.pace how much quicker than usual it is spoken already
 */
export function rateFor({ waitedS, backlogS, pace }) {
  const late = Math.max(waitedS - 0.4, 0) + backlogS;
  const wanted = 1 + 0.07 * late;
  return Math.max(1, Math.min(QUICKEST, QUICKEST_IN_ALL / pace, wanted));
}

export class Player extends EventTarget {
  /**
   * @param {HTMLAudioElement} element
   * @param {() => number} serverNow the server's clock, ms
   */
  constructor(element, serverNow) {
    super();
    this.element = element;
    this.serverNow = serverNow;
    this.paused = false;
    this.language = "";
    /** Sentences that were left out because a pause was too long. */
    this.dropped = 0;
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {GainNode | null} */
    this._gain = null;
    /** @type {HTMLAudioElement | null} */
    this._anchor = null;
    /** @type {Clip[]} */
    this._queue = [];
    /** @type {{clip: Clip, source: AudioBufferSourceNode, startedAt: number, rate: number} | null} */
    this._playing = null;
    this._volume = 1;
    this._lagMs = NaN;
    this._pausedAt = 0;
    this._quietSince = 0;
    this._watch = () => this._onVisible();
  }

  /** Make ready to sound. Must run while a press of a button is being handled: browsers ask for that. */
  unlock() {
    if (this._context) return;
    const context = new AudioContext({ latencyHint: "playback" });
    this._context = context;
    this._gain = context.createGain();
    this._gain.gain.value = this._volume;
    if (typeof context.createMediaStreamDestination === "function") {
      const out = context.createMediaStreamDestination();
      this._gain.connect(out);
      this.element.srcObject = out.stream;
    } else {
      this._gain.connect(context.destination);
    }
    this._anchor = silence();
    void context.resume();
    void this.element.play().catch(() => {});
    void this._anchor.play().catch(() => {});
    context.onstatechange = () => {
      // iOS interrupts for calls; go on when it lets us.
      if (/** @type {string} */ (context.state) === "interrupted" || context.state === "suspended") {
        if (!this.paused) void context.resume().catch(() => {});
      }
    };
    document.addEventListener("visibilitychange", this._watch);
  }

  /** What phones show while locked. @param {{title: string, artist: string}} shown */
  describe({ title, artist }) {
    if (!("mediaSession" in navigator)) return;
    const artwork = [{ src: "/assets/icon.svg", sizes: "any", type: "image/svg+xml" }];
    navigator.mediaSession.metadata = new MediaMetadata({ title, artist, artwork });
    navigator.mediaSession.setActionHandler("play", () => this.resume());
    navigator.mediaSession.setActionHandler("pause", () => this.pause());
    this._tellSystem();
  }

  /** Take in a sentence. @param {{header: Record<string, any>, audio: ArrayBuffer}} voice */
  async add({ header, audio }) {
    const segment = Number(header.segmentId) || 0;
    /** @type {Clip} */
    const clip = { header, samples: null, sampleRate: header.sampleRate, offset: 0, readyAt: Date.now(), segment };
    this._queue.push(clip);
    try {
      const { samples, sampleRate } = await this._decode(header, audio);
      clip.samples = samples;
      clip.sampleRate = sampleRate;
    } catch {
      this._queue = this._queue.filter((other) => other !== clip);
      this.dispatchEvent(new CustomEvent("unplayable", { detail: { header } }));
    }
    clip.readyAt = Date.now();
    this._sift(clip);
    this._keepLast();
    this._pump();
  }

  pause() {
    if (this.paused) return;
    this.paused = true;
    this._pausedAt = Date.now();
    const playing = this._playing;
    if (playing && this._context) {
      const heard = Math.max(0, this._context.currentTime - playing.startedAt) * playing.rate;
      this._stopSource();
      playing.clip.offset += Math.round(heard * playing.clip.sampleRate);
      this._queue.unshift(playing.clip);
    }
    if (this._anchor) this._anchor.pause();
    this._changed();
  }

  resume() {
    if (!this.paused) return;
    this.paused = false;
    const pausedMs = Date.now() - this._pausedAt;
    for (const clip of this._queue) if (clip.offset) clip.readyAt -= pausedMs;
    void this._context?.resume();
    void this.element.play().catch(() => {});
    void this._anchor?.play().catch(() => {});
    this._pump();
    this._changed();
  }

  /** Leave out what waits but for the newest sentence. */
  skipToNow() {
    const last = this._queue.at(-1);
    this._queue = last ? [last] : [];
    if (last) last.offset = 0;
    if (last) this._stopSource();
    this._pump();
    this._changed();
  }

  get volume() {
    return this._volume;
  }

  set volume(value) {
    this._volume = value;
    // Loudness is roughly the square of the slider; a short ramp does not click.
    this._gain?.gain.setTargetAtTime(value * value, this._context?.currentTime || 0, 0.02);
  }

  /** Seconds of voice that wait. */
  get keptS() {
    return this._queue.reduce((sum, clip) => sum + lengthS(clip), 0);
  }

  /** Whether voice sounds now. */
  get sounding() {
    return this._playing !== null;
  }

  /** How much quicker than it was made the voice plays now. */
  get rate() {
    return this._playing ? this._playing.rate : 1;
  }

  /**
   * Seconds from the end of a spoken sentence to the start of its voice here; null when nothing was heard lately.
   * @returns {number | null}
   */
  get behindS() {
    if (Number.isNaN(this._lagMs)) return null;
    if (this.paused) return (this._lagMs + Date.now() - this._pausedAt) / 1000;
    if (!this._playing && Date.now() - this._quietSince > 20_000) return null;
    return this._lagMs / 1000;
  }

  /** No voice any more. */
  stop() {
    this._queue = [];
    this._stopSource();
    document.removeEventListener("visibilitychange", this._watch);
    this._anchor?.pause();
    this.element.pause();
    this.element.srcObject = null;
    void this._context?.close().catch(() => {});
    this._context = null;
    this._lagMs = NaN;
  }

  // ---- in order

  /**
   * The first sentence of a new language ends what waits in the old one, but for what was said before it.
   * @param {Clip} clip
   */
  _sift(clip) {
    const { targetLanguage } = clip.header;
    if (!clip.samples || targetLanguage === this.language) return;
    this.language = targetLanguage;
    this._queue = this._queue.filter(
      (other) => other.header.targetLanguage === targetLanguage || other.segment < clip.segment,
    );
  }

  _keepLast() {
    if (!this.paused) return;
    while (this._queue.length > 1 && this.keptS - lengthS(this._queue[0]) >= KEPT_S) {
      this._queue.shift();
      this.dropped += 1;
    }
  }

  _pump() {
    const context = this._context;
    const clip = this._queue[0];
    if (this.paused || this._playing || !context || !this._gain || !clip || !clip.samples) return;
    this._queue.shift();
    const rate = rateFor({
      waitedS: (Date.now() - clip.readyAt) / 1000,
      backlogS: this.keptS,
      pace: Number(clip.header.pace) || 1,
    });
    const samples = stretch(clip.samples.subarray(clip.offset), rate, clip.sampleRate);
    if (!samples.length) {
      this._pump();
      return;
    }
    const buffer = context.createBuffer(1, samples.length, clip.sampleRate);
    buffer.copyToChannel(/** @type {any} */ (samples), 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(this._gain);
    const pause = rate > 1.02 || Date.now() - this._quietSince > 200 ? 0 : BETWEEN_S;
    const startedAt = context.currentTime + LEAD_S + pause;
    this._playing = { clip, source, startedAt, rate };
    source.onended = () => {
      if (this._playing?.source !== source) return;
      this._playing = null;
      this._quietSince = Date.now();
      this._pump();
      this._changed();
    };
    source.start(startedAt);
    this._measure(clip, (LEAD_S + pause) * 1000);
    this._changed();
  }

  _stopSource() {
    const playing = this._playing;
    this._playing = null;
    if (!playing) return;
    playing.source.onended = null;
    playing.source.stop();
    this._quietSince = Date.now();
  }

  /** @param {Clip} clip @param {number} leadMs */
  _measure(clip, leadMs) {
    const { timestamp, timing } = clip.header;
    const onTheWay = timing && (timing.sent ?? timing.synthesized);
    if (typeof timestamp !== "number" || typeof onTheWay !== "number") return;
    const heardMs = (clip.offset / clip.sampleRate) * 1000;
    this._lagMs = Math.max(0, this.serverNow() + leadMs - heardMs - (timestamp - onTheWay));
  }

  /**
   * @param {Record<string, any>} header
   * @param {ArrayBuffer} audio
   * @returns {Promise<{samples: Float32Array, sampleRate: number}>}
   */
  async _decode(header, audio) {
    if (header.format === "opus") {
      if (!this._context) throw new Error("no sound was asked for");
      const buffer = await this._context.decodeAudioData(audio);
      return { samples: buffer.getChannelData(0), sampleRate: buffer.sampleRate };
    }
    const view = new DataView(audio);
    const samples = new Float32Array(audio.byteLength >> 1);
    for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(i * 2, true) / 32768;
    return { samples, sampleRate: header.sampleRate };
  }

  _onVisible() {
    if (document.visibilityState !== "visible" || this.paused || !this._context) return;
    if (this._context.state !== "running") void this._context.resume().catch(() => {});
    if (this.element.paused) void this.element.play().catch(() => {});
  }

  _tellSystem() {
    if ("mediaSession" in navigator) navigator.mediaSession.playbackState = this.paused ? "paused" : "playing";
  }

  _changed() {
    this._tellSystem();
    this.dispatchEvent(new CustomEvent("change"));
  }
}

/** @param {Clip} clip seconds that are still to be heard */
function lengthS(clip) {
  if (!clip.samples) return Number(clip.header.duration) || 0;
  return (clip.samples.length - clip.offset) / clip.sampleRate;
}

/** Ten seconds of nothing, in a loop: phones keep a page awake that plays a file, and show its controls. */
function silence() {
  const rate = 8000;
  const length = rate * 10;
  const bytes = new Uint8Array(44 + length).fill(128, 44);
  const view = new DataView(bytes.buffer);
  const text = (/** @type {number} */ at, /** @type {string} */ s) => bytes.set(new TextEncoder().encode(s), at);
  text(0, "RIFF");
  view.setUint32(4, 36 + length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate, true);
  view.setUint16(32, 1, true);
  view.setUint16(34, 8, true);
  text(36, "data");
  view.setUint32(40, length, true);
  const element = new Audio(URL.createObjectURL(new Blob([bytes], { type: "audio/wav" })));
  element.loop = true;
  return element;
}
