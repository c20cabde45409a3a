// @ts-check
/** How captions look: size, contrast, dark or light. Kept for this tab only. */

export const SIZES = [1, 1.25, 1.5, 1.875, 2.375, 3, 3.75, 4.75];
const KEY = "babelcast.display";

/**
 * @typedef {object} Look
 * @property {number} size index into SIZES
 * @property {boolean} contrast
 * @property {"" | "light" | "dark"} theme "" as the system
 * @property {boolean} original
 */

/** @param {Partial<Look>} [usual] @returns {Look} */
export function readLook(usual = {}) {
  /** @type {Look} */
  const look = { size: 2, contrast: false, theme: "", original: false, ...usual };
  try {
    return { ...look, ...JSON.parse(sessionStorage.getItem(KEY) || "{}") };
  } catch {
    return look;
  }
}

/** @param {Look} look */
export function keepLook(look) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(look));
  } catch {
    // then it is not kept
  }
}

/** @param {Look} look */
export function showLook(look) {
  const root = document.documentElement;
  root.style.setProperty("--caption-size", `${SIZES[look.size]}rem`);
  root.dataset.theme = look.theme;
  root.dataset.contrast = look.contrast ? "high" : "";
  root.dataset.original = String(look.original);
}

/** Keep the screen on while the page is looked at. @returns {() => void} ends it */
export function keepAwake() {
  /** @type {WakeLockSentinel | null} */
  let lock = null;
  let wanted = true;
  const ask = async () => {
    if (!wanted || document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    try {
      lock = await navigator.wakeLock.request("screen");
      if (!wanted) void lock.release();
    } catch {
      // the battery is low, or the browser does not like it
    }
  };
  document.addEventListener("visibilitychange", ask);
  void ask();
  return () => {
    wanted = false;
    document.removeEventListener("visibilitychange", ask);
    void lock?.release();
  };
}
