// What is said, as it is recognised: words that may still change are grey, and nothing that was read jumps.
/**
 * @typedef {import("./i18n.js").I18n} I18n
 * @typedef {{ segmentId: string, revision: number, text: string, stableText: string, isFinal: boolean }} Transcript
 * @typedef {{ item: HTMLLIElement, words: HTMLElement, revision: number, text: string, isFinal: boolean,
 *   first: number }} Row
 */

/** Lines on the page: those of about three hours. */
const MOST = 4000;
const NEAR_PX = 80;

export class TranscriptView {
  /**
   * @param {{ list: HTMLElement, scroll: HTMLElement, empty: HTMLElement, newest: HTMLElement }} parts
   * @param {{ edit: (segmentId: string, text: string) => Promise<unknown>, i18n: () => I18n }} ways
   */
  constructor({ list, scroll, empty, newest }, { edit, i18n }) {
    this._list = list;
    this._scroll = scroll;
    this._empty = empty;
    this._newest = newest;
    this._edit = edit;
    this._i18n = i18n;
    /** @type {Map<string, Row>} */
    this._rows = new Map();
    this._follow = true;
    scroll.addEventListener("scroll", () => this._scrolled(), { passive: true });
    newest.addEventListener("click", () => {
      this._follow = true;
      this._keepEnd();
    });
    new ResizeObserver(() => this._keepEnd()).observe(scroll);
  }

  clear() {
    this._rows.clear();
    this._list.replaceChildren();
    this._empty.hidden = false;
    this._follow = true;
    this._newest.hidden = true;
  }

  /** @param {Transcript} transcript @param {string} language */
  show({ segmentId, revision, text, stableText, isFinal }, language) {
    let row = this._rows.get(segmentId);
    if (row && (revision < row.revision || (row.isFinal && !isFinal))) return;
    if (!text) {
      // it turned out to be no speech
      row?.item.remove();
      this._rows.delete(segmentId);
      return;
    }
    if (!row) {
      row = this._insert(segmentId, language);
      row.first = revision;
    }
    const corrected = row.isFinal && isFinal && text !== row.text;
    Object.assign(row, { revision, text, isFinal });
    const stable = isFinal ? text : text.startsWith(stableText) ? stableText : "";
    paint(row.words, stable, text.slice(stable.length));
    row.item.dataset.final = String(isFinal);
    if (corrected) row.item.dataset.edited = this._i18n().t("live.edited");
    // a guess that gets shorter takes no line away
    if (isFinal) row.item.style.minHeight = "";
    else row.item.style.minHeight = `${row.item.offsetHeight}px`;
    if (isFinal) this._offerEdit(segmentId, row);
    this._empty.hidden = true;
    this._keepEnd();
  }

  /** The texts of the buttons again, in another language. */
  relabel() {
    for (const row of this._rows.values()) {
      const button = row.item.querySelector(".sp-edit");
      if (button) this._label(button, row.text);
    }
  }

  /** @param {string} segmentId @param {string} language @returns {Row} */
  _insert(segmentId, language) {
    const item = document.createElement("li");
    item.dataset.segment = segmentId;
    const words = document.createElement("span");
    words.className = "sp-said";
    words.lang = language;
    words.dir = "auto";
    item.append(words);
    let after = this._list.lastElementChild;
    while (after && Number(/** @type {HTMLElement} */ (after).dataset.segment) > Number(segmentId)) {
      after = after.previousElementSibling;
    }
    if (after) after.after(item);
    else this._list.prepend(item);
    const row = { item, words, revision: -1, text: "", isFinal: false, first: 0 };
    this._rows.set(segmentId, row);
    if (this._rows.size > MOST) {
      const [oldest] = this._rows;
      oldest[1].item.remove();
      this._rows.delete(oldest[0]);
    }
    return row;
  }

  /** @param {string} segmentId @param {Row} row */
  _offerEdit(segmentId, row) {
    let button = row.item.querySelector("button.sp-edit");
    if (!button) {
      button = document.createElement("button");
      button.className = "sp-edit";
      button.setAttribute("type", "button");
      /** @type {HTMLElement} */ (button).dataset.testid = "edit";
      button.addEventListener("click", () => this._beginEdit(segmentId, row));
      row.item.append(button);
    }
    this._label(button, row.text);
  }

  /** @param {string} segmentId @param {Row} row */
  _beginEdit(segmentId, row) {
    if (row.item.querySelector("form")) return;
    const form = document.createElement("form");
    form.className = "sp-edit-form";
    const area = document.createElement("textarea");
    area.value = row.text;
    area.lang = row.words.lang;
    area.maxLength = 2000;
    area.required = true;
    area.rows = Math.max(2, Math.ceil(row.text.length / 50));
    area.setAttribute("aria-label", this._i18n().t("live.editThis", { text: row.text }));
    area.className = "input";
    area.dataset.testid = "edit-text";
    const save = button("submit", this._i18n().t("live.save"), "edit-save");
    const cancel = button("button", this._i18n().t("live.cancel"), "edit-cancel");
    const trouble = document.createElement("p");
    trouble.setAttribute("role", "alert");
    trouble.className = "sp-trouble";
    trouble.hidden = true;
    const buttons = document.createElement("div");
    buttons.className = "row";
    buttons.append(save, cancel);
    form.append(area, buttons, trouble);
    const close = () => {
      form.remove();
      row.item.classList.remove("is-edited");
      /** @type {HTMLElement | null} */ (row.item.querySelector(".sp-edit"))?.focus();
    };
    cancel.addEventListener("click", close);
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = area.value.trim();
      if (!text || text === row.text) return close();
      save.disabled = true;
      try {
        await this._edit(segmentId, text);
        close();
      } catch {
        trouble.textContent = this._i18n().t("live.editFailed");
        trouble.hidden = false;
        save.disabled = false;
      }
    });
    row.item.classList.add("is-edited");
    row.item.append(form);
    area.focus();
  }

  /** @param {Element} button @param {string} text */
  _label(button, text) {
    const short = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    button.setAttribute("aria-label", this._i18n().t("live.editThis", { text: short }));
    button.setAttribute("title", this._i18n().t("live.edit"));
  }

  _scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this._scroll;
    this._follow = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    this._newest.hidden = this._follow;
  }

  _keepEnd() {
    if (this._follow && !this._list.querySelector("form")) this._scroll.scrollTop = this._scroll.scrollHeight;
  }
}

/** Change as little of the page as possible. @param {HTMLElement} words @param {string} stable @param {string} open */
function paint(words, stable, open) {
  let tentative = words.querySelector("i");
  if (!tentative) {
    tentative = document.createElement("i");
    words.append("", tentative);
  }
  const first = /** @type {Text} */ (words.firstChild instanceof Text ? words.firstChild : document.createTextNode(""));
  if (!first.parentNode) words.prepend(first);
  if (first.data !== stable) first.data = stable;
  if (tentative.textContent !== open) tentative.textContent = open;
}

/** @param {"submit" | "button"} type @param {string} text @param {string} testid */
function button(type, text, testid) {
  const made = document.createElement("button");
  made.type = type;
  made.className = "button";
  made.textContent = text;
  made.dataset.testid = testid;
  return made;
}
