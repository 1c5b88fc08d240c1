/** WebAssembly text, of which the build makes code: with a memory of its own, or with one that threads share. */
declare module "*.wat" {
  export const single: Uint8Array<ArrayBuffer>;
  export const shared: Uint8Array<ArrayBuffer>;
}
