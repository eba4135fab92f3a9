// astro.config: image: { service: { entrypoint: "./astro-service.js", config: { base: "https://images.shop.example" } } }
// Astro's own service for remote pictures: it makes URLs, and the node makes the pictures.
import { srcset, url } from "calotype-urls";

const parametersOf = ({ width, height, quality, format }) => ({ width, height, fit: height ? "fill" : undefined, quality, format: format ?? "auto" });
const keyOf = (src) => src.replace(/^\//, "");

export default {
  getURL: (options, { service }) => url(keyOf(options.src), parametersOf(options), { base: service.config.base }),
  getHTMLAttributes: ({ src, width, height, quality, format, widths, ...attributes }, { service }) => ({
    ...attributes, width, height, loading: "lazy", decoding: "async",
    srcset: srcset(keyOf(src), parametersOf({ width, height, quality, format }), { base: service.config.base, widths }),
  }),
};
