// Runs on the audio thread: 100 ms pieces of 16 kHz mono 16-bit PCM, and the level 30 times a second.
import { RATE_HZ, Resampler } from "./resample.js";

/** Samples of a piece: 100 ms. */
const PIECE = RATE_HZ / 10;
const LEVELS_PER_S = 30;
/** Of full scale, from where a sample counts as clipped. */
const CLIPPED = 0.98;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this._resampler = new Resampler(sampleRate);
    this._piece = new Int16Array(PIECE);
    this._filled = 0;
    this._emit = (/** @type {number} */ sample) => this._add(sample);
    this._mono = new Float32Array(128);
    this._looked = 0;
    this._peak = 0;
    this._squares = 0;
    this._clipped = false;
    this._on = true;
    this.port.onmessage = () => {
      this._on = false;
    };
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    if (!this._on) return false;
    const mono = this._mix(channels);
    this._measure(mono);
    this._resampler.push(mono, this._emit);
    return true;
  }

  /** The mean of all channels; silence while nothing is connected. @param {Float32Array[]} channels */
  _mix(channels) {
    if (channels.length === 1) return channels[0];
    const length = channels.length ? channels[0].length : 128;
    if (this._mono.length !== length) this._mono = new Float32Array(length);
    this._mono.fill(0);
    for (const channel of channels) {
      for (let i = 0; i < length; i++) this._mono[i] += channel[i] / channels.length;
    }
    return this._mono;
  }

  /** @param {Float32Array} samples */
  _measure(samples) {
    for (let i = 0; i < samples.length; i++) {
      const size = Math.abs(samples[i]);
      if (size > this._peak) this._peak = size;
      if (size >= CLIPPED) this._clipped = true;
      this._squares += size * size;
    }
    this._looked += samples.length;
    if (this._looked * LEVELS_PER_S >= sampleRate) {
      const rms = Math.sqrt(this._squares / this._looked);
      this.port.postMessage({ peak: this._peak, rms, clipped: this._clipped });
      this._looked = this._peak = this._squares = 0;
      this._clipped = false;
    }
  }

  /** @param {number} sample */
  _add(sample) {
    const scaled = Math.round(sample * 32767);
    this._piece[this._filled++] = scaled > 32767 ? 32767 : scaled < -32768 ? -32768 : scaled;
    if (this._filled === PIECE) {
      const pcm = this._piece.buffer;
      this._piece = new Int16Array(PIECE);
      this._filled = 0;
      this.port.postMessage({ pcm }, [pcm]);
    }
  }
}

registerProcessor("capture", Capture);
