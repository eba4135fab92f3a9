import type { Parameters } from "./index.js";
export declare function loader(options?: { base?: string; parameters?: Parameters }): (
  image: { src: string; width: number; quality?: number },
) => string;
