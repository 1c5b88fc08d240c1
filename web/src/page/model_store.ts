/** Models in a page: fetched once, kept in the Cache API, and known by their fingerprints. */

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
  private readonly models = new Map<string, Model>();
  private readonly first: Promise<unknown>;
  private fetching: Promise<Model> | undefined;
  private readonly absent = new Map<string, string>(); // what the server did not have, and what it had instead

  /** Begins to load the model file at that URL: the copy that was kept, or else from the server. */
  constructor(private readonly url: string) {
    this.first = this.start().catch(() => undefined); // whoever needs it is told by another try
  }

  /** The model with that fingerprint. Throws CdrError if the server has another one, ModelError if it has none. */
  async get(fingerprint: string): Promise<Model> {
    await this.first;
    const model = this.models.get(fingerprint);
    if (model) return model;
    if (!this.absent.has(fingerprint)) {
      this.fetching ??= this.fetched("no-cache").finally(() => (this.fetching = undefined)); // one for all that wait
      const fresh = await this.fetching;
      if (fresh.fingerprint === fingerprint) return fresh;
      this.absent.set(fingerprint, fresh.fingerprint);
    }
    throw new CdrError(`it needs the model ${fingerprint}, and ${this.url} is ${this.absent.get(fingerprint)}`);
  }

  private async start(): Promise<void> {
    const cache = await kept();
    for (const request of await this.copies(cache)) {
      const copy = await cache!.match(request);
      try {
        const model = await Model.read(new Uint8Array(await copy!.arrayBuffer()));
        if (request.url === this.key(model)) {
          this.models.set(model.fingerprint, model);
          return;
        }
      } catch {
        // it is damaged
      }
      await cache!.delete(request);
    }
    await this.fetched("default");
  }

  /** What was kept of this URL. */
  private async copies(cache: Cache | undefined): Promise<Request[]> {
    const own = new URL(this.url).href;
    return ((await cache?.keys()) ?? []).filter(({ url }) => {
      const without = new URL(url);
      without.searchParams.delete(KEY);
      return url !== own && without.href === own;
    });
  }

  private key(model: Model): string {
    const url = new URL(this.url);
    url.searchParams.set(KEY, model.fingerprint);
    return url.href;
  }

  /** The model that the server has; its copy takes the place of those that were kept. */
  private async fetched(cached: RequestCache): Promise<Model> {
    const response = await fetch(this.url, { cache: cached });
    if (!response.ok) throw new ModelError(`the model ${this.url} cannot be loaded (status ${response.status})`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const model = await Model.read(bytes);
    this.models.set(model.fingerprint, model);
    await this.keep(model, bytes).catch(() => undefined); // no room is no reason to fail
    return model;
  }

  private async keep(model: Model, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const cache = await kept();
    const before = await this.copies(cache);
    await cache?.put(this.key(model), new Response(bytes));
    for (const request of before) if (request.url !== this.key(model)) await cache?.delete(request);
  }
}
