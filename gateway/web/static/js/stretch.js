// @ts-check
/**
 * Speech made quicker without making it higher: waveform similarity overlap-add (WSOLA; Verhelst and Roelands,
 * "An overlap-add technique based on waveform similarity", ICASSP 1993). Windows of 30 ms that overlap by half
 * are taken from the input `rate` times as far apart as they are laid down, each moved by up to 8 ms to where it
 * fits best to what would have followed the one before.
 */

const WINDOW_S = 0.03;
const SEARCH_S = 0.008;
/** Only each fourth place and sample is compared at first: speech has its energy far below that. */
const COARSE = 4;

/**
 * @param {Float32Array} input samples of one channel
 * @param {number} rate 1 to 2; 1.25 makes 10 s last 8 s
 * @param {number} sampleRate Hz
 * @returns {Float32Array}
 */
export function stretch(input, rate, sampleRate) {
  const hop = Math.round((WINDOW_S / 2) * sampleRate);
  const size = hop * 2;
  const reach = Math.round(SEARCH_S * sampleRate);
  if (rate <= 1.01 || input.length < size * 3) return input;
  const window = new Float32Array(size);
  for (let i = 0; i < size; i++) window[i] = 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / size);

  const hops = Math.floor((input.length - size - reach) / (hop * rate));
  const output = new Float32Array(hops * hop + size);
  let taken = 0;
  for (let i = 0; i < hops; i++) {
    if (i > 0) {
      const ideal = Math.round(i * hop * rate);
      taken = i === hops - 1 ? ideal : best(input, taken + hop, ideal, reach, hop);
    }
    const at = i * hop;
    for (let k = 0; k < size; k++) output[at + k] += input[taken + k] * window[k];
  }
  // The first half window has nothing under it to add up to one.
  output.set(input.subarray(0, hop), 0);
  return output.subarray(0, hops * hop + hop);
}

/**
 * Where near `ideal` the input is most like what follows at `natural`.
 * @param {Float32Array} input
 * @param {number} natural
 * @param {number} ideal
 * @param {number} reach
 * @param {number} length
 */
function best(input, natural, ideal, reach, length) {
  const from = Math.max(0, ideal - reach);
  const to = Math.min(input.length - 2 * length, ideal + reach);
  let place = scan(input, natural, from, to, COARSE, length);
  place = scan(input, natural, Math.max(from, place - COARSE), Math.min(to, place + COARSE), 1, length);
  return place;
}

/**
 * @param {Float32Array} input @param {number} natural @param {number} from @param {number} to
 * @param {number} step @param {number} length
 */
function scan(input, natural, from, to, step, length) {
  let found = from;
  let highest = -Infinity;
  for (let place = from; place <= to; place += step) {
    let product = 0;
    let energy = 1e-9;
    for (let k = 0; k < length; k += COARSE) {
      const sample = input[place + k];
      product += sample * input[natural + k];
      energy += sample * sample;
    }
    const likeness = product / Math.sqrt(energy);
    if (likeness > highest) {
      highest = likeness;
      found = place;
    }
  }
  return found;
}
