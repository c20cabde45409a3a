// @ts-check
/**
 * The pages' own texts, in the reader's language.
 *
 *     const i18n = await I18n.load(["", "speak"]);   // i18n/<lang>.json and i18n/speak.<lang>.json
 *     i18n.apply();                                  // fills [data-i18n] and [data-i18n-attr]
 *     i18n.t("behind", { seconds: i18n.number(2.4, 1) });
 *     i18n.n("listeners", 3);                        // "listeners.one" / "listeners.other", with {n}
 *
 * In HTML: <b data-i18n="listen"></b>, <input data-i18n-attr="placeholder:code.hint;aria-label:code">.
 */

export const PAGE_LANGUAGES = ["en", "es", "fr", "de", "pt", "it"];
const REMEMBERED = "babelcast.page-language";
const RTL = new Set(["ar", "he", "fa", "ur", "yi", "ps", "sd", "ug", "dv", "ckb"]);

/** Own names of languages that browsers are often built without. @type {Record<string, string>} */
const OWN_NAMES = {
  az: "Azərbaycan",
  bs: "Bosanski",
  cy: "Cymraeg",
  eu: "Euskara",
  ga: "Gaeilge",
  gl: "Galego",
  ht: "Kreyòl ayisyen",
  hy: "Հայերեն",
  is: "Íslenska",
  ka: "ქართული",
  kk: "Қазақ тілі",
  mk: "Македонски",
  mn: "Монгол",
  mt: "Malti",
  ps: "پښتو",
  si: "සිංහල",
  so: "Soomaali",
  sq: "Shqip",
  uz: "O‘zbek",
};

/** The language of a tag: "es-MX" is "es". @param {string} tag */
export const baseLanguage = (tag) => tag.toLowerCase().split(/[-_]/)[0];

/** @param {string} language @returns {"rtl" | "ltr"} */
export const direction = (language) => (RTL.has(baseLanguage(language)) ? "rtl" : "ltr");

/**
 * The first of the browser's languages that is among `available`, else the first available.
 * @param {readonly string[]} available
 * @param {readonly string[]} [wanted]
 */
export function guess(available, wanted = navigator.languages || [navigator.language]) {
  for (const tag of wanted) {
    const base = baseLanguage(tag);
    if (available.includes(base)) return base;
  }
  return available[0] || "en";
}

/** @param {string} key */
export function remembered(key) {
  try {
    return localStorage.getItem(key) || "";
  } catch {
    return ""; // storage may be forbidden
  }
}

/** @param {string} key @param {string} value */
export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // then it is not remembered
  }
}

export class I18n {
  /** @param {string} language @param {Record<string, string>} texts @param {string[]} parts */
  constructor(language, texts, parts) {
    this.language = language;
    this._texts = texts;
    this._parts = parts;
    this._plural = new Intl.PluralRules(language);
  }

  /**
   * @param {string[]} parts "" for the shared texts, "speak" for i18n/speak.<lang>.json
   * @param {string} [language] by default ?ui=, what was chosen before, or the browser's
   */
  static async load(parts = [""], language) {
    const asked = language || new URLSearchParams(location.search).get("ui") || remembered(REMEMBERED);
    const chosen = PAGE_LANGUAGES.includes(asked) ? asked : guess(PAGE_LANGUAGES);
    const files = await Promise.all(parts.map((part) => texts(part, chosen)));
    return new I18n(chosen, Object.assign({}, ...files), parts);
  }

  /** The same texts in another language, which is remembered. @param {string} language */
  async change(language) {
    remember(REMEMBERED, language);
    return I18n.load(this._parts, language);
  }

  /** @param {string} key */
  has(key) {
    return key in this._texts;
  }

  /** @param {string} key @param {Record<string, string | number>} [values] */
  t(key, values = {}) {
    const text = this._texts[key];
    if (text === undefined) return key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  }

  /** A text that depends on a number. @param {string} key @param {number} n @param {Record<string, string | number>} [values] */
  n(key, n, values = {}) {
    const form = `${key}.${this._plural.select(n)}`;
    return this.t(form in this._texts ? form : `${key}.other`, { n: this.number(n), ...values });
  }

  /** @param {number} value @param {number} [digits] */
  number(value, digits = 0) {
    return new Intl.NumberFormat(this.language, {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }).format(value);
  }

  /** What went wrong, in plain words. @param {{code?: string, retryAfter?: number}} error */
  error(error) {
    const key = `error.${error.code || ""}`;
    return this.t(key in this._texts ? key : "error.other", { code: error.code || "", seconds: error.retryAfter || 0 });
  }

  /**
   * A language's name: in the page's language, or with `own` in its own.
   * @param {string} language
   * @param {{own?: boolean}} [options]
   */
  languageName(language, { own = false } = {}) {
    const inLanguage = own ? language : this.language;
    try {
      if (own && !Intl.DisplayNames.supportedLocalesOf(language).length) {
        return OWN_NAMES[language] || this.languageName(language);
      }
      const name = new Intl.DisplayNames([inLanguage], { type: "language" }).of(language) || language;
      return name.charAt(0).toLocaleUpperCase(inLanguage) + name.slice(1);
    } catch {
      return language;
    }
  }

  /** Fill in the texts below `root`. @param {ParentNode} [root] */
  apply(root = document) {
    if (root === document) document.documentElement.lang = this.language;
    for (const element of root.querySelectorAll("[data-i18n]")) {
      element.textContent = this.t(/** @type {HTMLElement} */ (element).dataset.i18n || "");
    }
    for (const element of root.querySelectorAll("[data-i18n-attr]")) {
      for (const pair of (/** @type {HTMLElement} */ (element).dataset.i18nAttr || "").split(";")) {
        const [attribute, key] = pair.split(":");
        if (attribute && key) element.setAttribute(attribute.trim(), this.t(key.trim()));
      }
    }
  }
}

/** @param {string} part @param {string} language @returns {Promise<Record<string, string>>} */
async function texts(part, language) {
  const answer = await fetch(`/assets/i18n/${part ? `${part}.` : ""}${language}.json`);
  if (!answer.ok) throw new Error(`texts of the page: ${answer.status}`);
  return answer.json();
}
