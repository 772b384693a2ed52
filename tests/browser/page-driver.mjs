// What the tests of the page share: one browser, the page with the fake client, and errors of the page as failures.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { servePage } from './page-server.mjs';

export const output = join(dirname(fileURLToPath(import.meta.url)), '..', 'output', 'page');
export const SIZES = { desktop: [1280, 800], wide: [1760, 990], tablet: [800, 900], phone: [390, 844], small: [360, 740] };
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** Starts server and browser; `open` gives a page in a state, `close` ends both. */
export async function start() {
  mkdirSync(output, { recursive: true });
  const server = await servePage();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
  return {
    open: (state, options) => open(browser, server.url, state, options),
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

async function open(browser, url, state, { size = 'desktop', dark = false, forced = false, rtl = false, scripts = true, clock = false, query = '' } = {}) {
  const [width, height] = SIZES[size];
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', forcedColors: forced ? 'active' : 'none', javaScriptEnabled: scripts, permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce' });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', error => faults.push(String(error.stack)));
  page.on('console', message => message.type() === 'error' && faults.push(message.text()));
  if (clock) await stop(page);
  if (rtl) await page.addInitScript(() => new MutationObserver((_, observer) => {
    if (!document.documentElement) return;
    document.documentElement.dir = 'rtl';
    observer.disconnect();
  }).observe(document, { childList: true }));
  await page.goto(`${url}?state=${state}${query}`);
  if (scripts && !clock) await settled(page);
  /** Ends the page; anything it complained about fails the test. */
  page.finish = async () => {
    await context.close();
    assert.deepEqual(faults, []);
  };
  return page;
}

/** Gives the page a clock that stands still: its time passes by `page.clock.runFor` alone, however busy the machine is. */
async function stop(page) {
  const noon = Date.UTC(2026, 0, 1, 12);
  await page.clock.install({ time: noon });
  await page.clock.pauseAt(noon + 1000);
}

/**
 * Waits until the page has drawn what its client holds. Not a guess: a drawing is due within 250 ms by a timer of the
 * page's own loop, so a later timer and a few frames in that same loop come after it however slow the machine is.
 */
export async function settled(page) {
  await page.evaluate(async () => {
    const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
    for (let left = 40; left > 0 && [...document.querySelectorAll('main > section')].every(part => part.hidden); left--) await frame();
    for (let n = 0; n < 4; n++) await frame();
    await new Promise(resolve => setTimeout(resolve, 300));
    for (let n = 0; n < 3; n++) await frame();
  });
}

/** Changes the first torrent's snapshot in the page and waits until it is drawn. */
export async function change(page, patch, ...rest) {
  await page.evaluate(([source, ...args]) => {
    const torrent = window.tombolo.torrents[0];
    new Function('s', 'args', source)(torrent.snapshot, args);
    window.tombolo.changed(torrent);
  }, [patch, ...rest]);
  await settled(page);
}

/** Calls that reached the fake torrent. */
export const calls = page => page.evaluate(() => window.tombolo.torrents[0]?.calls ?? []);

/** Calls that reached the fake client. */
export const clientCalls = page => page.evaluate(() => window.tombolo.calls);
