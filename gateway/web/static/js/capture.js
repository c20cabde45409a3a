// The microphone: permission, choice, switches, and what comes out of it.

/**
 * @typedef {{ deviceId: string, echoCancellation: boolean, noiseSuppression: boolean,
 *   autoGainControl: boolean }} Wish
 * @typedef {{ peak: number, rms: number, clipped: boolean }} Level Of full scale.
 * @typedef {"insecure" | "denied" | "none" | "busy" | "gone" | "failed"} Trouble
 */

export class MicrophoneError extends Error {
  /** @param {Trouble} trouble */
  constructor(trouble) {
    super(trouble);
    this.trouble = trouble;
  }
}

/**
 * Events: `piece` (detail: ArrayBuffer, 100 ms of PCM), `level` (detail: Level), `lost` when the microphone went
 * away, `silenced` and `heard` when the system or a switch on it turned it off and on, `devices`.
 */
export class Microphone extends EventTarget {
  constructor() {
    super();
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {MediaStream | null} */
    this._stream = null;
    /** @type {MediaStreamAudioSourceNode | null} */
    this._source = null;
    /** @type {AudioWorkletNode | null} */
    this._node = null;
    this._opening = 0;
    navigator.mediaDevices?.addEventListener("devicechange", () => this.dispatchEvent(new Event("devices")));
  }

  /** Whether it is open. */
  get on() {
    return this._stream !== null;
  }

  /** The device in use; "" when there is none. */
  get deviceId() {
    return this._stream?.getAudioTracks()[0]?.getSettings().deviceId ?? "";
  }

  /** The microphones there are; without names before one has been allowed. */
  static async list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter((device) => device.kind === "audioinput" && device.deviceId !== "communications");
  }

  /**
   * Open one, in the place of the one that was open. A device that is not there any more is none that was wished.
   * @param {Wish} wish @returns {Promise<boolean>} False when another was opened meanwhile.
   */
  async open(wish) {
    const mine = ++this._opening;
    const stream = await permitted(wish);
    if (mine !== this._opening) {
      stop(stream);
      return false;
    }
    const node = await this._listening();
    if (mine !== this._opening) {
      stop(stream);
      return false;
    }
    this._source?.disconnect();
    stop(this._stream);
    this._stream = stream;
    this._source = node.context instanceof AudioContext ? node.context.createMediaStreamSource(stream) : null;
    this._source?.connect(node);
    const [track] = stream.getAudioTracks();
    track.addEventListener("ended", () => this._ended(stream));
    track.addEventListener("mute", () => this.dispatchEvent(new Event("silenced")));
    track.addEventListener("unmute", () => this.dispatchEvent(new Event("heard")));
    return true;
  }

  /** Sound flows again after the system has stopped it; browsers want a press before the first time. */
  async wake() {
    if (this._context && this._context.state !== "running") await this._context.resume().catch(() => {});
  }

  /** Let go of it. */
  async close() {
    this._opening++;
    stop(this._stream);
    this._stream = this._source = null;
    this._node?.port.postMessage("end");
    this._node = null;
    const context = this._context;
    this._context = null;
    await context?.close().catch(() => {});
  }

  /** @returns {Promise<AudioWorkletNode>} */
  async _listening() {
    if (this._node) {
      await this.wake();
      return this._node;
    }
    // at the sound card's own rate: not every browser converts, and the worklet does it well
    const context = new AudioContext({ latencyHint: "interactive" });
    this._context = context;
    await context.audioWorklet.addModule(new URL("./capture-worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "capture", { numberOfInputs: 1, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => {
      if (data.pcm) this.dispatchEvent(new CustomEvent("piece", { detail: data.pcm }));
      else this.dispatchEvent(new CustomEvent("level", { detail: data }));
    };
    node.connect(context.destination); // it is silent; what leads nowhere is not run everywhere
    context.addEventListener("statechange", () => {
      if (this.on && context.state !== "closed") void this.wake();
    });
    this._node = node;
    void this.wake();
    return node;
  }

  /** @param {MediaStream} stream */
  _ended(stream) {
    if (stream !== this._stream) return;
    this._source?.disconnect();
    this._stream = this._source = null;
    this.dispatchEvent(new Event("lost"));
  }
}

/** @param {Wish} wish */
async function permitted({ deviceId, ...switches }) {
  if (!window.isSecureContext || !navigator.mediaDevices) throw new MicrophoneError("insecure");
  const audio = { ...switches, channelCount: 1, ...(deviceId ? { deviceId: { exact: deviceId } } : {}) };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    if (deviceId && name === "OverconstrainedError") return permitted({ deviceId: "", ...switches });
    throw new MicrophoneError(trouble(name));
  }
}

/** @param {string} name Of what getUserMedia threw. @returns {Trouble} */
function trouble(name) {
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "none";
  if (name === "NotReadableError" || name === "AbortError") return "busy";
  return "failed";
}

/** @param {MediaStream | null} stream */
function stop(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}
