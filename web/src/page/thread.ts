/** A thread of the worker. */

import { type Start, serve } from "./threads.js";

self.onmessage = ({ data }: MessageEvent<Start>) => serve(data);
