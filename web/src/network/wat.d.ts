/** WebAssembly text, which the build makes its code. */
declare module "*.wat" {
  const code: Uint8Array<ArrayBuffer>;
  export default code;
}
