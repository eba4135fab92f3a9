// URLs of pictures that a Calotype node serves. No dependencies; runs in browsers and on servers.
//
//   url("shoes/red.jpg", { width: 400, height: 300, fit: "fill", format: "auto" })
//   // "/w_400,h_300,c_fill,f_auto/shoes/red.jpg"
//
// Parameters have the names of PARAMETERS, and the values that docs/urls.md gives. An array gives a parameter several times, as
// `effect` and `layer` allow; null and undefined leave it out. Signing is in signing.js, which belongs on servers only.
import { PARAMETERS } from "./parameters.js";

export { PARAMETERS };

// The widths of a srcset, in pixels; the default configuration of a node allows them.
export const WIDTHS = [320, 640, 960, 1280, 1920];

const VALUE = /^[A-Za-z0-9_.:+-]+$/;
const SEPARATORS = /[%,~]/g; // Of values in URLs; in a file name they are encoded twice.
const NO_KEY = /(?:^|\/)(?:\.|\/|$)|[\x00-\x1f\x7f\\]/;
const NO_FILE_NAME = /^$|[\x00-\x1f\x7f/\\]/;
const REPEATED = new Set(["effect", "layer"]);
const FILE_NAMES = new Set(["download", "fileName"]);
const OWN_NAME = "*"; // The file name of the original.
const ABSOLUTE = /^https?:\/\//i;
const ESCAPED = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;" };

// The URL of the variant of `key`, the name of an original in the node's source or an absolute URL. `steps` are applied one
// after the other, then `parameters`. `base` is the address of the node, with the prefix of the mount if it has one; without it
// the URL begins with a slash. Throws TypeError for an unknown parameter, RangeError for a value that a URL cannot have.
export function url(key, parameters = {}, { base = "", steps = [] } = {}) {
  if (/[?#]/.test(base)) throw new RangeError("base: must be an address without a query");
  const chain = [...steps, parameters].map(step).filter(Boolean).join("~");
  if (!chain) throw new RangeError("give at least one parameter; format: 'auto' alone re-encodes the original");
  return `${base.replace(/\/+$/, "")}/${chain}/${encodedKey(key)}`;
}

// The value of a `srcset` attribute: a URL for each of `widths` in pixels. With `width` and `height` the height follows
// each width, so that the shape stays.
export function srcset(key, parameters = {}, { widths = WIDTHS, ...options } = {}) {
  const { width, height } = parameters;
  return widths.map((each) => {
    const sized = { ...parameters, width: each };
    if (pixels(width) && pixels(height)) {
      sized.height = Math.max(1, Math.floor((each * pixels(height)) / pixels(width) + 0.5));
    }
    return `${url(key, sized, options)} ${each}w`;
  }).join(", ");
}

// The HTML of an <img> with `srcset` and `sizes`, loaded lazily; `format` is auto unless it is given. `width` and `height`, if
// both are given, are its attributes too, so that the page does not move while the picture loads.
export function picture(key, parameters, { alt, sizes = "100vw", widths = WIDTHS, attributes = {}, ...options }) {
  if (alt === undefined) throw new TypeError("alt: must be given; it is empty for a picture that only decorates");
  if (!widths.length) throw new RangeError("widths: must have at least one");
  const all = { format: "auto", ...parameters };
  const smallest = { ...all, width: all.width || widths[Math.floor(widths.length / 2)] };
  const written = {
    src: url(key, smallest, options),
    srcset: srcset(key, all, { widths, ...options }),
    sizes,
    alt,
    loading: "lazy",
    decoding: "async",
    ...(all.width && all.height ? { width: all.width, height: all.height } : {}),
    ...attributes,
  };
  const text = Object.entries(written).map(([name, value]) => `${name}="${escaped(String(value))}"`).join(" ");
  return `<img ${text}>`;
}

// A side as a number, 0 if it is none above 0.
const pixels = (side) => (Number.isFinite(Number(side)) && Number(side) > 0 ? Number(side) : 0);

const escaped = (text) => text.replace(/[&<>"']/g, (character) => ESCAPED[character]);

function step(parameters) {
  const unknown = Object.keys(parameters).find((name) => !Object.hasOwn(PARAMETERS, name));
  if (unknown !== undefined) throw new TypeError(`${unknown}: unknown parameter`);
  return Object.entries(PARAMETERS).flatMap(([name, token]) => {
    const given = parameters[name];
    const values = given === null || given === undefined ? [] : Array.isArray(given) ? given : [given];
    if (values.length > 1 && !REPEATED.has(name)) throw new RangeError(`${name}: takes one value`);
    return values.map((value) => `${token}_${valueText(name, value)}`);
  }).join(",");
}

function valueText(name, value) {
  if (typeof value === "number" ? !Number.isFinite(value) : typeof value !== "string") {
    throw new RangeError(`${name}: must be a number or a text`);
  }
  const text = typeof value === "number" ? String(Number(value.toFixed(6))) : value;
  if (FILE_NAMES.has(name)) {
    if (text === OWN_NAME) return text;
    if (NO_FILE_NAME.test(text)) throw new RangeError(`${name}: must be a file name`);
    return encoded(text.replace(SEPARATORS, hexadecimal));
  }
  if (!VALUE.test(text)) throw new RangeError(`${name}: must consist of letters, digits and _ . : + -`);
  return text;
}

function encodedKey(key) {
  if (ABSOLUTE.test(key)) return encoded(key);
  if (NO_KEY.test(key)) {
    throw new RangeError("key: must be the name of an original, without an empty segment or one that begins with a dot");
  }
  return key.split("/").map(encoded).join("/");
}

const hexadecimal = (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

function encoded(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, hexadecimal);
}
