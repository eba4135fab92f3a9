import type { Options, Parameters } from "./index.js";
export interface Signing {
  secret: string;
  keyId?: string;
  lifetimeS?: number | null;
  now?: () => number;
}
export declare function sign(target: string, signing: Signing): Promise<string>;
export declare function signedUrl(
  key: string, parameters: Parameters, options: Options, signing: Signing,
): Promise<string>;
