// What one measurement starts, ended together: the part of a test's context that the harness uses.

export class Scope {
  #ends = [];

  after(end) {
    this.#ends.push(end);
  }

  async close() {
    for (const end of this.#ends.splice(0).reverse()) await Promise.resolve(end()).catch(() => {});
  }
}

/** Runs `measure(scope)` and ends all that it started. */
export async function scoped(measure) {
  const scope = new Scope();
  try {
    return await measure(scope);
  } finally {
    await scope.close();
  }
}
