// Who speaks: with one click on the machine itself, by a login elsewhere (OpenID Connect, Authorization Code with
// PKCE), or with a token that is pasted. A token stays in this tab.

/**
 * @typedef {{ authorizeUrl: string, tokenUrl: string, clientId: string, scope: string }} Login
 * @typedef {"state" | "refused" | "expired" | "unreachable"} Trouble
 */

const TOKEN = "babelcast.token";
const PENDING = "babelcast.login";
const MARGIN_S = 60;

export class SignInError extends Error {
  /** @param {Trouble} trouble */
  constructor(trouble) {
    super(trouble);
    this.trouble = trouble;
  }
}

/** The token of this tab; "" when there is none that is still good. */
export function kept() {
  const token = sessionStorage.getItem(TOKEN) ?? "";
  const expires = claims(token).exp;
  if (typeof expires === "number" && expires < Date.now() / 1000 + MARGIN_S) {
    forget();
    return "";
  }
  return token;
}

/** @param {string} token */
export function keep(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function forget() {
  sessionStorage.removeItem(TOKEN);
}

/** Who the token says that speaks, for people; "" when it does not. @param {string} token */
export function who(token) {
  const { name, email, preferred_username, username } = claims(token);
  const found = [name, email, preferred_username, username].find((value) => typeof value === "string" && value);
  return typeof found === "string" ? found : "";
}

/** Whether a text may be a token at all. @param {string} text */
export function looksRight(text) {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text.trim());
}

/** One click: who sits at the gateway's own machine. */
export async function local() {
  return tokenOf(await ask("/local/token", { method: "POST" }), "token");
}

/** Go and log in; the page is left, and comes back with a code. @param {Login} login */
export async function leaveToLogIn(login) {
  const verifier = random();
  const state = random();
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const url = new URL(login.authorizeUrl);
  const query = {
    response_type: "code",
    client_id: login.clientId,
    redirect_uri: here(),
    scope: login.scope,
    state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  location.assign(url);
}

/**
 * The token for the code that the login sent back with; "" when the page was not opened by it. The code is taken
 * out of the address at once. @param {Login | null} login
 */
export async function comeBack(login) {
  const query = new URLSearchParams(location.search);
  if (!query.has("state")) return "";
  history.replaceState(null, "", location.pathname);
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  if (!login || !pending || pending.state !== query.get("state")) throw new SignInError("state");
  const code = query.get("code");
  if (!code) throw new SignInError("refused");
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: login.clientId,
    code,
    redirect_uri: here(),
    code_verifier: pending.verifier,
  });
  return tokenOf(await ask(login.tokenUrl, { method: "POST", body, credentials: "omit" }), "id_token", "access_token");
}

/** @param {string} url @param {RequestInit} init */
async function ask(url, init) {
  let answer;
  try {
    answer = await fetch(url, { ...init, signal: AbortSignal.timeout(15_000) });
  } catch {
    throw new SignInError("unreachable");
  }
  if (!answer.ok) throw new SignInError(answer.status >= 500 ? "unreachable" : "refused");
  return answer.json().catch(() => ({}));
}

/** @param {Record<string, unknown>} answer @param {string[]} names */
function tokenOf(answer, ...names) {
  for (const name of names) {
    const token = answer[name];
    if (typeof token === "string" && looksRight(token)) return token;
  }
  throw new SignInError("refused");
}

function here() {
  return `${location.origin}${location.pathname}`;
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** What a token says, not checked: the gateway does that. @param {string} token @returns {Record<string, unknown>} */
function claims(token) {
  try {
    const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (char) => char.charCodeAt(0))));
  } catch {
    return {};
  }
}
