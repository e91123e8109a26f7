/** What this Worker uses of `node:async_hooks` (compatibility flag `nodejs_compat`). */
declare module "node:async_hooks" {
  export class AsyncLocalStorage<T> {
    run<R>(store: T, callback: () => R): R;
    getStore(): T | undefined;
  }
}
