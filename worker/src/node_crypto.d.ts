/** What this Worker uses of `node:crypto` (compatibility flag `nodejs_compat`). */
declare module "node:crypto" {
  interface Hash {
    update(data: string, encoding: "utf8" | "hex"): Hash;
    digest(encoding: "hex"): string;
  }
  export function createHash(algorithm: "sha256"): Hash;
}
