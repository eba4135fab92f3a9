// A loader of next/image: `loader: "custom"` and `loaderFile: "./calotype-loader.js"` in next.config, and in that file
//
//   import { loader } from "calotype-urls/next-loader";
//   export default loader({ base: "https://images.shop.example" });
import { url } from "./index.js";

// `parameters` apply to every picture. A quality that a page gives takes the place of q_auto.
export function loader({ base = "", parameters = {} } = {}) {
  return ({ src, width, quality }) =>
    url(
      src.replace(/^\//, ""),
      { fit: "limit", format: "auto", quality: "auto", ...parameters, ...(quality ? { quality } : {}), width },
      { base },
    );
}
