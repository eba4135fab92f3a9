// Signs URLs. For servers only: whoever has the secret can sign any URL, so it must never be sent to a browser.
import { url } from "./index.js";

const ORIGIN = /^(?:https?:)?\/\/[^/]+/i;

// `target`, a URL or its path and query, with its signature. `secret` is a key of the node's [signing.keys]; `keyId` names the key,
// and is needed while several are live. With `lifetimeS` the URL is valid for that many seconds from now on.
export async function sign(target, { secret, keyId = "", lifetimeS = null, now = () => Date.now() / 1000 }) {
  const bytes = new TextEncoder().encode(secret);
  if (bytes.length < 32) throw new RangeError("secret: must have 32 bytes or more, as in [signing.keys] of the node");
  if (lifetimeS !== null && !(lifetimeS >= 1)) throw new RangeError("lifetimeS: must be at least one second");
  const origin = target.match(ORIGIN)?.[0] ?? "";
  let message = target.slice(origin.length);
  if (lifetimeS !== null) message = withParameter(message, "exp", String(Math.floor(now() + lifetimeS)));
  if (keyId) message = withParameter(message, "kid", keyId);
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(message)));
  const text = btoa(String.fromCharCode(...mac)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  return origin + withParameter(message, "sig", text);
}

// The signed URL of a variant: `url` and `sign` in one call.
export function signedUrl(key, parameters, options, signing) {
  return sign(url(key, parameters, options), signing);
}

function withParameter(target, name, value) {
  return `${target}${target.includes("?") ? "&" : "?"}${name}=${value}`;
}
