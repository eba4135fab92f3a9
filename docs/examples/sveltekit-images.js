// src/lib/images.js, and in a component: <img {...image("lake.jpg", { alt: "A lake", sizes: "50vw" })}>
import { srcset, url } from "calotype-urls";

const base = "https://images.shop.example";

export function image(key, { alt, sizes = "100vw", ...parameters }) {
  const all = { format: "auto", ...parameters };
  return { src: url(key, { width: 960, ...all }, { base }), srcset: srcset(key, all, { base }), sizes, alt, loading: "lazy" };
}
