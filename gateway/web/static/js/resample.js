// From the sound card's sample rate to the one that speech is recognised at. Pure.

/** What is sent, samples a second. */
export const RATE_HZ = 16000;
const ZERO_CROSSINGS = 16;
/** Where the low-pass lies, of half the lower rate: speech is kept, nothing folds back. */
const CUTOFF = 0.92;

/**
 * A rational resampler: a windowed sinc (Kaiser, about 80 dB), its phases laid out beforehand.
 * Where both rates are the same it hands on what it gets.
 */
export class Resampler {
  /** @param {number} from Samples a second that come in. @param {number} [to] That go out. */
  constructor(from, to = RATE_HZ) {
    const divisor = gcd(from, to);
    this._up = to / divisor;
    this._down = from / divisor;
    const cutoff = (from === to ? 1 : CUTOFF) * Math.min(1, to / from);
    this._half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this._taps = 2 * this._half;
    /** @type {Float32Array[]} */
    this._phases = [];
    if (from !== to) {
      for (let phase = 0; phase < this._up; phase++) {
        this._phases.push(kernel(this._taps, cutoff, phase / this._up));
      }
    }
    this._history = new Float32Array(this._taps);
    this._room = new Float32Array(this._taps + 4096);
    this._place = 0; // of the next sample that goes out, in 1/up of a sample that came in
  }

  /**
   * @param {Float32Array} input
   * @param {(sample: number) => void} emit Gets each sample that goes out.
   */
  push(input, emit) {
    if (!this._phases.length) {
      for (let i = 0; i < input.length; i++) emit(input[i]);
      return;
    }
    const taps = this._taps;
    if (this._room.length < taps + input.length) this._room = new Float32Array(taps + input.length);
    const room = this._room;
    room.set(this._history, 0);
    room.set(input, taps);
    const end = input.length * this._up;
    while (this._place < end) {
      const start = Math.floor(this._place / this._up) + 1;
      const weights = this._phases[this._place % this._up];
      let sum = 0;
      for (let i = 0; i < taps; i++) sum += room[start + i] * weights[i];
      emit(sum);
      this._place += this._down;
    }
    this._place -= end;
    this._history.set(room.subarray(input.length, input.length + taps));
  }
}

/**
 * Weights of the last `taps` samples for a value `fraction` of a sample after their middle.
 * @param {number} taps @param {number} cutoff @param {number} fraction
 */
function kernel(taps, cutoff, fraction) {
  const weights = new Float32Array(taps);
  const middle = taps / 2 - 1 + fraction;
  let total = 0;
  for (let i = 0; i < taps; i++) {
    const x = i - middle;
    const angle = Math.PI * x * cutoff;
    const sinc = x === 0 ? 1 : Math.sin(angle) / angle;
    const across = x / (taps / 2);
    weights[i] = Math.abs(across) >= 1 ? 0 : sinc * bessel(8 * Math.sqrt(1 - across * across));
    total += weights[i];
  }
  for (let i = 0; i < taps; i++) weights[i] /= total;
  return weights;
}

/** The modified Bessel function of order 0. @param {number} x */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 30; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
