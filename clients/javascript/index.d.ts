export type Value = string | number;
export type Name = keyof typeof PARAMETERS;
export type Parameters = { [name in Name]?: Value | Value[] | null };
export interface Options {
  base?: string;
  steps?: Parameters[];
}
export interface SetOptions extends Options {
  widths?: number[];
}
export interface PictureOptions extends SetOptions {
  alt: string;
  sizes?: string;
  attributes?: Record<string, string | number>;
}
export { PARAMETERS } from "./parameters.js";
import { PARAMETERS } from "./parameters.js";
export declare const WIDTHS: number[];
export declare function url(key: string, parameters?: Parameters, options?: Options): string;
export declare function srcset(key: string, parameters?: Parameters, options?: SetOptions): string;
export declare function picture(key: string, parameters: Parameters, options: PictureOptions): string;
