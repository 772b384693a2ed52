// Waiting for a state, never for a time: every wait has a condition, a deadline that only a broken build reaches, and a
// message that tells what was there instead.

import { setTimeout as pause } from 'node:timers/promises';

/** Longer than anything here takes on a slow, busy machine with two cores. */
export const DEADLINE_MS = 90_000;

/**
 * Calls `check` until it returns something truthy and returns that.
 *
 * `describe` (optional) returns what the failure message shows: the state that was found at the end.
 */
export async function until(what, check, { within = DEADLINE_MS, every = 50, describe } = {}) {
  const end = performance.now() + within;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > end) {
      const found = describe ? `; found ${JSON.stringify(await describe())}` : '';
      throw new Error(`waited ${within / 1000} s for ${what}${found}`);
    }
    await pause(every);
  }
}

/** Fails when `promise` takes longer than the deadline. */
export function within(promise, what, ms = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms / 1000} s for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
