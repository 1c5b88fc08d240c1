/** cdraw in a page: `decode`, `inspect` and `truncate`. The element `<cdraw-img>` is in "cdraw/element". */

export { configure, prepare, type Configuration } from "./page/client.js";
export { DecodeError, decode, inspect, truncate, type DecodeOptions, type Progress } from "./page/decode.js";
export type { Source } from "./page/source.js";
export type { Budget } from "./format/truncate.js";
export { CdrError, ModelError } from "./format/errors.js";
export type { Header } from "./format/header.js";
