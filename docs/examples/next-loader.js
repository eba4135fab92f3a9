// next.config.js: images: { loader: "custom", loaderFile: "./next-loader.js" }
import { loader } from "calotype-urls/next-loader";

export default loader({ base: "https://images.shop.example" });
