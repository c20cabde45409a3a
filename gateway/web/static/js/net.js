// @ts-check
/**
 * A session over a WebSocket that comes back by itself; for speakers and for listeners.
 *
 *     const session = new Session({ role: "listener", opening: () => ({ action: "joinSession", ... }) });
 *     session.on("state", ({ state, seconds }) => ...);      // see State
 *     session.on("caption", (message) => ...);               // one event for each type the server says
 *     session.on("voice", ({ header, audio }) => ...);       // translatedAudio: each once, in order
 *     session.on("gap", ({ from, to }) => ...);              // voice that will not come any more
 *     session.on("message", (message) => ...);               // all that is text
 *     const joined = await session.start();                  // or a ProtocolError: the server said no
 *     const answer = await session.request({ action: "changeLanguage", targetLanguage: "fr" });
 *
 * Events carry their argument as `event.detail`; `on` hands it over directly. After a lost connection the
 * event "resumed" carries the answer (connectionRefreshComplete, or sessionJoined when the seat was gone).
 *
 * @typedef {{type: string, [field: string]: any}} Message
 * @typedef {"connecting" | "open" | "waiting" | "offline" | "ended" | "failed" | "closed"} State
 * @typedef {{state: State, seconds: number, attempt: number, error: ProtocolError | null}} StateDetail
 */

const ANSWER_WITHIN_MS = 10_000;
const HEARTBEAT_MS = 20_000;
const RETRY_FROM_MS = 500;
const RETRY_AT_MOST_MS = 15_000;
/** The server sends again what was missed in its last 120 s; after that a listener joins anew. */
const RESUME_WITHIN_MS = 110_000;
const HISTORY_AT_MOST_S = 600;

/** Refusals that another try may get past. */
const PASSING = new Set(["SERVICE_UNAVAILABLE", "RATE_LIMIT_EXCEEDED", "INTERNAL_ERROR", "SESSION_FULL"]);
const OVER = new Set(["SESSION_NOT_FOUND", "SESSION_ENDED"]);

/** What the server would not do; `code` is one of the protocol's. */
export class ProtocolError extends Error {
  /** @param {{code: string, message?: string, action?: string, details?: Record<string, any>}} said */
  constructor(said) {
    super(said.message || said.code);
    this.name = "ProtocolError";
    this.code = said.code;
    this.action = said.action || "";
    this.details = said.details || {};
    /** Seconds, 0 when the server named none. */
    this.retryAfter = Number(this.details.retryAfter) || 0;
  }
}

/** The connection went away before an answer came. */
export class ConnectionLost extends Error {}

/**
 * How long to wait before the next try: full jitter, so that a crowd does not come back at once.
 * @param {number} attempt from 0
 * @param {number} retryAfterS what the server asked for
 * @param {() => number} [random]
 */
export function backoffMs(attempt, retryAfterS, random = Math.random) {
  const ceiling = Math.min(RETRY_AT_MOST_MS, RETRY_FROM_MS * 2 ** attempt);
  return retryAfterS * 1000 + 200 + random() * ceiling;
}

/**
 * The parts of a binary frame: its length-prefixed header and the sound.
 * @param {ArrayBuffer} frame
 * @returns {{header: Message, audio: ArrayBuffer}}
 */
export function splitFrame(frame) {
  const length = new DataView(frame).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length)));
  return { header, audio: frame.slice(4 + length) };
}

/** The WebSocket's address on the host that served the page. */
export function socketUrl() {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

export class Session extends EventTarget {
  /**
   * @param {object} options
   * @param {"speaker" | "listener"} options.role
   * @param {() => Record<string, any>} options.opening makes createSession or joinSession; asked again when a
   *   listener has to join anew, so it names the settings of now
   * @param {string} [options.resumeToken] of an earlier page in this tab
   * @param {string} [options.url]
   */
  constructor({ role, opening, resumeToken = "", url = socketUrl() }) {
    super();
    this.role = role;
    this.opening = opening;
    this.url = url;
    /** The session's code; empty before the first answer. */
    this.code = "";
    /** @type {State} */
    this.state = "closed";
    this.language = "";
    this.lastSequenceNumber = 0;
    this.resumeToken = resumeToken;
    /** Add to Date.now() for the server's clock, ms. */
    this.clockOffsetMs = 0;

    /** @type {WebSocket | null} */
    this._socket = null;
    /** @type {Map<string, {socket: WebSocket, resolve: (m: Message) => void, reject: (e: Error) => void, timer: number}>} */
    this._waiting = new Map();
    this._nextId = 1;
    this._attempt = 0;
    this._connecting = false;
    this._begun = false;
    this._joined = false;
    this._heardAt = 0;
    this._bestRoundTripMs = Infinity;
    this._heartbeat = 0;
    this._countdown = 0;
    /** @type {(() => void) | null} */
    this._wake = null;
    /** @type {((m: Message) => void) | null} */
    this._resolveFirst = null;
    /** @type {((e: Error) => void) | null} */
    this._rejectFirst = null;
    this._online = () => this._onOnline();
    this._offline = () => this._onOffline();
    this._visible = () => this._check();
  }

  /**
   * Listen to an event; its detail is handed over.
   * @param {string} name
   * @param {(detail: any) => void} listener
   */
  on(name, listener) {
    this.addEventListener(name, (event) => listener(/** @type {CustomEvent} */ (event).detail));
    return this;
  }

  /** Connect, and go on trying until the server says yes or no. @returns {Promise<Message>} */
  start() {
    addEventListener("online", this._online);
    addEventListener("offline", this._offline);
    document.addEventListener("visibilitychange", this._visible);
    this._begun = true;
    const first = new Promise((resolve, reject) => {
      this._resolveFirst = resolve;
      this._rejectFirst = reject;
    });
    void this._connect();
    return first;
  }

  /**
   * Say something and wait for its answer. Rejects with ProtocolError or ConnectionLost.
   * @param {Record<string, any>} message
   * @returns {Promise<Message>}
   */
  request(message) {
    const socket = this._socket;
    if (!socket || socket.readyState !== WebSocket.OPEN) return Promise.reject(new ConnectionLost());
    return this._ask(socket, message);
  }

  /**
   * Send bytes, such as the speaker's sound. False when there is no connection.
   * @param {ArrayBuffer | ArrayBufferView} bytes
   */
  sendBinary(bytes) {
    if (!this._socket || this._socket.readyState !== WebSocket.OPEN) return false;
    this._socket.send(/** @type {any} */ (bytes));
    return true;
  }

  /**
   * Say something whose answer does not matter. False when there is no connection.
   * @param {Record<string, any>} message
   */
  send(message) {
    if (!this._socket || this._socket.readyState !== WebSocket.OPEN) return false;
    this._socket.send(JSON.stringify(message));
    return true;
  }

  /** Bytes that wait in the browser to be sent. */
  get bufferedAmount() {
    return this._socket ? this._socket.bufferedAmount : 0;
  }

  /** Do not wait for the countdown. */
  retryNow() {
    if (this._wake) this._wake();
  }

  /** Go over to a new connection without a break, with what `opening` says now. */
  renew() {
    if (this._socket) void this._connect();
  }

  /** Leave. */
  close() {
    if (this._begun) this._stop("closed", null);
  }

  // ---- connecting

  async _connect() {
    if (this._connecting) return;
    this._connecting = true;
    while (this._begun) {
      if (!this._socket) this._setState("connecting");
      try {
        const answer = await this._establish();
        this._attempt = 0;
        if (this._resolveFirst) this._resolveFirst(answer);
        this._resolveFirst = this._rejectFirst = null;
        break;
      } catch (error) {
        if (!this._begun) break;
        const said = error instanceof ProtocolError ? error : null;
        if (said && !PASSING.has(said.code)) {
          if (this.role === "listener" && this.resumeToken && !OVER.has(said.code)) {
            this.resumeToken = ""; // the seat is gone: join anew
            continue;
          }
          this._refused(said);
          break;
        }
        if (said && !this._joined) {
          this._refused(said); // a first join is the person's to try again
          break;
        }
        await this._waitToRetry(backoffMs(this._attempt, said ? said.retryAfter : 0), said);
        this._attempt += 1;
      }
    }
    this._connecting = false;
  }

  /** @returns {Promise<Message>} the answer to what gives a role */
  _establish() {
    const message = this._firstMessage();
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.url);
      socket.binaryType = "arraybuffer";
      const timer = setTimeout(() => socket.close(), ANSWER_WITHIN_MS);
      let taken = false;
      socket.onopen = () => {
        this._ask(socket, message, (answer) => {
          clearTimeout(timer);
          taken = true;
          this._adopt(socket, answer);
          resolve(answer);
        }).catch((error) => {
          clearTimeout(timer);
          if (!taken) socket.close(1000);
          reject(error);
        });
      };
      socket.onmessage = (event) => this._receive(socket, event.data);
      socket.onclose = (event) => {
        clearTimeout(timer);
        this._abandon(socket);
        reject(new ConnectionLost());
        if (taken) this._lost(socket, event.code);
      };
    });
  }

  /** What gives this connection its role. @returns {Record<string, any>} */
  _firstMessage() {
    const missedMs = Date.now() - this._heardAt;
    const opening = this.opening();
    if (!this._joined) {
      return this.resumeToken ? { ...opening, resumeToken: this.resumeToken } : opening;
    }
    if (this.resumeToken && (this.role === "speaker" || missedMs < RESUME_WITHIN_MS)) {
      const { audio, delivery, captions } = opening;
      return this.role === "speaker"
        ? { action: "refreshConnection", sessionId: this.code, resumeToken: this.resumeToken }
        : {
            action: "refreshConnection",
            sessionId: this.code,
            resumeToken: this.resumeToken,
            lastSequenceNumber: this.lastSequenceNumber,
            audio,
            delivery,
            captions,
          };
    }
    const history = Math.min(HISTORY_AT_MOST_S, Math.ceil(missedMs / 1000) + 30);
    return { ...opening, history: Math.max(opening.history || 0, history) };
  }

  /**
   * Go on over this socket. Runs before any later message of it is looked at.
   * @param {WebSocket} socket
   * @param {Message} answer
   */
  _adopt(socket, answer) {
    const old = this._socket;
    this._socket = socket;
    const again = this._joined;
    this._joined = true;
    this.code = answer.sessionId;
    this.resumeToken = answer.resumeToken || "";
    if (answer.targetLanguage) this.language = answer.targetLanguage;
    if (answer.type === "sessionJoined") this.lastSequenceNumber = answer.lastSequenceNumber;
    if (old && old !== socket) old.close(1000);
    this._beat();
    this._setState("open");
    if (again) this._emit("resumed", answer);
  }

  /** @param {WebSocket} socket @param {number} closeCode */
  _lost(socket, closeCode) {
    if (socket !== this._socket || !this._begun) return;
    this._socket = null;
    clearTimeout(this._heartbeat);
    if (closeCode === 1008) {
      this._stop("failed", new ProtocolError({ code: "UNAUTHORIZED" }));
      return;
    }
    void this._reconnect(closeCode === 4429 ? 5 : 0);
  }

  /** @param {number} afterS */
  async _reconnect(afterS) {
    if (this._connecting) return;
    this._connecting = true;
    // Even the first try waits a little: when a gateway goes, all its listeners come back.
    await this._waitToRetry(backoffMs(0, afterS), null);
    this._connecting = false;
    if (this._begun) await this._connect();
  }

  /** @param {ProtocolError} error */
  _refused(error) {
    if (this._joined && OVER.has(error.code)) {
      this._emit("sessionEnded", { type: "sessionEnded", sessionId: this.code, reason: "gone" });
      this._stop("ended", null);
    } else {
      this._stop("failed", error);
    }
  }

  /** @param {State} state @param {ProtocolError | null} error */
  _stop(state, error) {
    this._begun = false;
    removeEventListener("online", this._online);
    removeEventListener("offline", this._offline);
    document.removeEventListener("visibilitychange", this._visible);
    clearTimeout(this._heartbeat);
    const socket = this._socket;
    this._socket = null;
    if (socket) socket.close(1000);
    if (this._wake) this._wake();
    this._setState(state, 0, error);
    if (this._rejectFirst) this._rejectFirst(error || new ConnectionLost());
    this._resolveFirst = this._rejectFirst = null;
  }

  /**
   * Count down; ends early when the network comes back or somebody presses "now".
   * @param {number} ms
   * @param {ProtocolError | null} error
   */
  _waitToRetry(ms, error) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const until = Date.now() + ms;
        const tick = () => {
          if (navigator.onLine === false && !this._socket) {
            this._setState("offline", 0, error); // the event "online" wakes us
            return;
          }
          const left = until - Date.now();
          if (left <= 0) {
            done();
            return;
          }
          if (!this._socket) this._setState("waiting", Math.ceil(left / 1000), error);
          this._countdown = setTimeout(tick, Math.min(1000, left));
        };
        const done = () => {
          clearTimeout(this._countdown);
          this._wake = null;
          resolve();
        };
        this._wake = done;
        tick();
      })
    );
  }

  _onOnline() {
    if (this._wake) this._wake();
    else this._check();
  }

  _onOffline() {
    if (!this._socket) return;
    // A socket does not notice for minutes that its network is gone.
    const socket = this._socket;
    socket.onmessage = null;
    socket.close();
    this._lost(socket, 1006);
  }

  // ---- being alive

  /** A heartbeat now and then; a connection that answers none is dead. */
  _beat() {
    clearTimeout(this._heartbeat);
    const socket = this._socket;
    if (!socket || socket.readyState !== WebSocket.OPEN) return;
    const sentAt = Date.now();
    this._ask(socket, { action: "heartbeat", timestamp: sentAt }).then(
      (answer) => {
        const now = Date.now();
        if (now - sentAt <= this._bestRoundTripMs) {
          this._bestRoundTripMs = now - sentAt;
          this.clockOffsetMs = answer.serverTime - (now + sentAt) / 2;
        }
      },
      (error) => {
        const silentMs = Date.now() - this._heardAt;
        if (!(error instanceof ProtocolError) && socket === this._socket && silentMs >= ANSWER_WITHIN_MS) {
          socket.onmessage = null;
          socket.close();
          this._lost(socket, 1006);
        }
      },
    );
    this._heartbeat = setTimeout(() => this._beat(), HEARTBEAT_MS);
  }

  /** The page was hidden or the network changed: is anybody still there? */
  _check() {
    if (this._socket && document.visibilityState === "visible" && Date.now() - this._heardAt > 5_000) this._beat();
    else if (this._wake && document.visibilityState === "visible") this._wake();
  }

  // ---- messages

  /**
   * @param {WebSocket} socket
   * @param {Record<string, any>} message
   * @param {(answer: Message) => void} [atOnce] runs before the next message is looked at
   * @returns {Promise<Message>}
   */
  _ask(socket, message, atOnce) {
    const requestId = `${this.role[0]}${this._nextId++}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this._waiting.delete(requestId);
        reject(new ConnectionLost());
      }, ANSWER_WITHIN_MS);
      this._waiting.set(requestId, {
        socket,
        timer,
        reject,
        resolve: (answer) => {
          if (atOnce) atOnce(answer);
          resolve(answer);
        },
      });
      socket.send(JSON.stringify({ ...message, requestId }));
    });
  }

  /** @param {WebSocket} socket */
  _abandon(socket) {
    for (const [id, waiting] of this._waiting) {
      if (waiting.socket !== socket) continue;
      clearTimeout(waiting.timer);
      this._waiting.delete(id);
      waiting.reject(new ConnectionLost());
    }
  }

  /** @param {WebSocket} socket @param {string | ArrayBuffer} data */
  _receive(socket, data) {
    this._heardAt = Date.now();
    if (typeof data !== "string") {
      const { header, audio } = splitFrame(data);
      this._voice(header, audio);
      return;
    }
    /** @type {Message} */
    const message = JSON.parse(data);
    const waiting = message.requestId ? this._waiting.get(message.requestId) : undefined;
    if (waiting) {
      clearTimeout(waiting.timer);
      this._waiting.delete(message.requestId);
      if (message.type === "error") {
        waiting.reject(new ProtocolError(/** @type {any} */ (message)));
        return;
      }
      waiting.resolve(message);
    }
    if (socket !== this._socket) return; // an old connection's last words
    switch (message.type) {
      case "languageChanged":
        this.language = message.targetLanguage;
        this.lastSequenceNumber = message.lastSequenceNumber;
        break;
      case "playbackResumed":
        this.lastSequenceNumber = message.lastSequenceNumber;
        break;
      case "connectionRefreshRequired":
        void this._connect(); // make before break
        break;
      case "sessionEnded":
        if (this.role === "listener") {
          this._emit("message", message);
          this._emit(message.type, message);
          this._stop("ended", null);
          return;
        }
        break;
      case "translatedAudio":
        this._voice(message, Uint8Array.from(atob(message.audioData || ""), (c) => c.charCodeAt(0)).buffer);
        return;
    }
    this._emit("message", message);
    this._emit(message.type, message);
  }

  /** @param {Message} header @param {ArrayBuffer} audio */
  _voice(header, audio) {
    if (header.targetLanguage !== this.language) return; // of the language before
    const number = header.sequenceNumber;
    if (number <= this.lastSequenceNumber) return; // sent again
    if (number > this.lastSequenceNumber + 1) {
      this._emit("gap", { from: this.lastSequenceNumber + 1, to: number - 1 });
    }
    this.lastSequenceNumber = number;
    this._emit("voice", { header, audio });
  }

  /** @param {State} state @param {number} [seconds] @param {ProtocolError | null} [error] */
  _setState(state, seconds = 0, error = null) {
    this.state = state;
    this._emit("state", { state, seconds, attempt: this._attempt, error });
  }

  /** @param {string} name @param {any} detail */
  _emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
