/** The model in a page: fetched once, kept in the Cache API, and known by its fingerprint. */

import { CdrError, ModelError } from "../format/errors.js";
import { Model } from "../model/model.js";

const CACHE = "cdraw-models";
const KEY = "cdraw-fingerprint";

/** Models that were kept, by their fingerprint; undefined where a page may keep nothing. */
async function kept(): Promise<Cache | undefined> {
  try {
    return await globalThis.caches?.open(CACHE);
  } catch {
    return undefined; // as in a sandboxed frame
  }
}

/** Gets models for pictures. A model whose bytes do not have the fingerprint that a picture names is never used. */
export class ModelStore {
  private current: Promise<Model>;

  /** Begins to load the model file at that URL: the copy that was kept, or else from the server. */
  constructor(private readonly url: string) {
    this.current = this.start();
    this.current.catch(() => undefined); // whoever needs it is told
  }

  /** The model with that fingerprint. Throws CdrError if the server has another one, ModelError if it has none. */
  async get(fingerprint: string): Promise<Model> {
    const model = await this.current.catch(() => undefined);
    if (model?.fingerprint === fingerprint) return model;
    this.current = this.fetched(); // what was kept is damaged or old
    const fresh = await this.current;
    if (fresh.fingerprint === fingerprint) return fresh;
    throw new CdrError(`it needs the model ${fingerprint}, and ${this.url} is ${fresh.fingerprint}`);
  }

  private async start(): Promise<Model> {
    const cache = await kept();
    for (const request of (await cache?.keys()) ?? []) {
      if (new URL(request.url).searchParams.has(KEY) && request.url.startsWith(this.url)) {
        const copy = await cache?.match(request);
        try {
          const model = new Model(new Uint8Array(await copy!.arrayBuffer()));
          if (request.url === this.key(model)) return model;
        } catch {
          // it is damaged
        }
        await cache?.delete(request);
      }
    }
    return this.fetched();
  }

  private key(model: Model): string {
    const url = new URL(this.url);
    url.searchParams.set(KEY, model.fingerprint);
    return url.href;
  }

  private async fetched(): Promise<Model> {
    const response = await fetch(this.url);
    if (!response.ok) throw new ModelError(`the model ${this.url} cannot be loaded (status ${response.status})`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const model = new Model(bytes);
    const cache = await kept();
    await cache?.put(this.key(model), new Response(bytes)).catch(() => undefined); // no room is no reason to fail
    return model;
  }
}
