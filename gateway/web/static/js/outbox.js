// The speaker's sound on its way out, and for a while after it went. The clock is an argument; no timers.
//
// Pieces are numbered from 1 through all connections of a session. What was sent is kept for a minute: a
// connection that breaks takes with it what was handed over and never arrived.

/** Pieces of 100 ms that are kept: a minute. */
export const KEPT = 600;
/** Somewhat less than the gateway takes: pieces a second, and at once. */
const PER_S = 10.5;
const AT_ONCE = 16;
/** Pieces sent again before the gateway's refusals, if any, are waited for. */
const IN_A_ROW = 16;

/**
 * @typedef {{ number: number, pcm: ArrayBuffer }} Piece
 * @typedef {{ send(data: ArrayBuffer | Uint8Array | Record<string, unknown>): void }} Line
 */

export class Outbox {
  /** @param {() => number} clock Seconds. */
  constructor(clock) {
    this._clock = clock;
    /** @type {Piece[]} */
    this._pieces = [];
    this._last = 0; // the highest number given
    this._next = 1; // the number that goes next
    this._heldBack = 1; // below this number, pieces are sent again
    this._counted = /** @type {number | null} */ (null); // the last that the gateway knows of, when certain
    this._inARow = 0;
    this._waitingSince = -Infinity;
    this._tokens = AT_ONCE;
    this._at = clock();
    this._notBefore = -Infinity;
    /** Pieces that nobody will hear, since they waited too long. */
    this.lost = 0;
    /** @type {Line | null} */
    this._line = null;
  }

  /** How many pieces wait to be sent. */
  get waiting() {
    return this._last + 1 - this._next;
  }

  /** Sound that was just made. @param {ArrayBuffer} pcm */
  add(pcm) {
    this._pieces.push({ number: ++this._last, pcm });
    while (this._pieces.length > KEPT) {
      const gone = /** @type {Piece} */ (this._pieces.shift());
      if (gone.number >= this._next) {
        this._next = gone.number + 1;
        this.lost++;
      }
    }
    this.pump();
  }

  /** A session has begun. @param {Line} line */
  begin(line) {
    this._take(line, 0);
  }

  /** The connection is gone: what is made meanwhile waits. */
  pause() {
    this._line = null;
  }

  /**
   * The role is on another connection, which needs no piece up to number `last` again.
   * @param {Line} line @param {number | undefined} last Undefined when that is not known.
   */
  resume(line, last) {
    const sent = this._next;
    if (last === undefined) {
      this._take(line, null);
      return;
    }
    if (last > this._last) {
      this._pieces = [];
      this._last = last;
    }
    const first = this._last + 1 - this._pieces.length;
    this.lost += Math.max(0, first - last - 1);
    this._next = Math.max(first, last + 1);
    this._heldBack = Math.max(sent, this._next);
    this._take(line, last);
  }

  /**
   * The gateway did not take a piece. @param {number} retryAfter Seconds. @param {number | undefined} number
   * Of the piece, when that is told.
   */
  refused(retryAfter, number) {
    this._refill();
    this._tokens = Math.min(this._tokens, 1);
    this._notBefore = Math.max(this._notBefore, this._clock() + retryAfter);
    this._counted = null; // from now on each piece is named
    if (number === undefined || number >= this._next) return;
    this._heldBack = Math.max(this._heldBack, this._next);
    this._next = Math.max(this._last + 1 - this._pieces.length, number);
  }

  /** The gateway has answered something asked after the last of a row: its refusals are known. */
  settled() {
    this._inARow = 0;
    this._waitingSince = -Infinity;
    this.pump();
  }

  /** Send what may go now. Called with each new piece, so it is never long before the next time. */
  pump() {
    while (this._line && this.waiting > 0) {
      this._refill();
      const now = this._clock();
      if (this._tokens < 1 || now < this._notBefore || now < this._waitingSince + 2) return;
      const piece = this._pieces[this._next - (this._last + 1 - this._pieces.length)];
      const again = piece.number < this._heldBack;
      this._send(this._line, piece, again);
      this._tokens--;
      this._next++;
      if (again && (++this._inARow >= IN_A_ROW || this._next >= this._heldBack)) {
        this._inARow = 0;
        this._waitingSince = now;
        this._line.send({ action: "getSessionStatus", requestId: "settled" });
      }
    }
  }

  /** @param {Line} line @param {Piece} piece @param {boolean} again */
  _send(line, piece, again) {
    const named = again || this._counted === null || piece.number !== this._counted + 1;
    if (this._counted !== null) this._counted = piece.number;
    if (!named) {
      line.send(piece.pcm);
      return;
    }
    line.send({
      action: "sendAudio",
      audioData: base64(piece.pcm),
      sequence: piece.number,
      requestId: `audio-${piece.number}`,
    });
  }

  /** @param {Line} line @param {number | null} counted */
  _take(line, counted) {
    this._line = line;
    this._counted = counted;
    this._inARow = 0;
    this._waitingSince = this._notBefore = -Infinity;
    // the gateway takes as many more at once as were due since the last that it has
    this._tokens = AT_ONCE + (counted ? this.waiting : 0);
    this._at = this._clock();
    this.pump();
  }

  _refill() {
    const now = this._clock();
    const grown = this._tokens + (now - this._at) * PER_S;
    this._tokens = Math.max(this._tokens, Math.min(AT_ONCE, grown));
    this._at = now;
  }
}

/** @param {ArrayBuffer} buffer */
function base64(buffer) {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}
