// nuxt.config: image: { provider: "calotype", providers: { calotype: { provider: "~/nuxt-provider.js", options: { baseURL: "https://images.shop.example" } } } }
import { url } from "calotype-urls";

const FITS = { cover: "fill", contain: "pad", fill: "scale", inside: "limit", outside: "outside" };

export function getImage(src, { modifiers = {}, baseURL = "" } = {}) {
  const { width, height, fit, format, quality, background, ...more } = modifiers;
  const parameters = { width, height, fit: FITS[fit] ?? fit, format: format ?? "auto", quality, background, ...more };
  return { url: url(src.replace(/^\//, ""), parameters, { base: baseURL }) };
}
