// A headless browser with a profile of its own, and tabs with our page in it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { atEnd } from './end.mjs';
import * as firefox from './firefox.mjs';
import { CHROMIUM, folder } from './place.mjs';
import { until } from './wait.mjs';

/** No sandbox since tests run as root; the rest keeps the browser off the network and WebRTC on loopback. */
export const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--allow-loopback-in-peer-connection',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

/** What tests that run in every browser run in. */
export const BROWSERS = ['chromium', 'firefox'];

/**
 * Starts a browser that is closed after test `t`. With `flags` come further command line flags of Chromium, `program` starts it, with
 * `profile` that of one closed before.
 */
export async function browser(t, { name = 'chromium', flags = [], program = CHROMIUM, profile = folder(t, 'profile') } = {}) {
  const context = await (name === 'firefox' ? firefox.launch(t, profile) : launchChromium(profile, flags, program));
  atEnd(t, () => context.close());
  return new Browser(t, context, profile);
}

async function launchChromium(profile, flags, program) {
  const { chromium } = await import('playwright-core');
  return chromium.launchPersistentContext(profile, {
    executablePath: program,
    headless: true,
    args: [...FLAGS, ...flags],
    acceptDownloads: true,
    // Where a machine has only loopback, no ICE candidate is gathered without it.
    permissions: ['microphone'],
  });
}

export class Browser {
  constructor(t, context, profile) {
    this.t = t;
    this.context = context;
    this.profile = profile;
  }

  /**
   * Opens `url`. What its console and its errors say is kept, and shown when the test fails. `prepare(page)` may change
   * the page before anything is loaded.
   */
  async open(url, prepare = () => {}) {
    const tab = new Tab(this.t, await this.context.newPage());
    await prepare(tab.page);
    await tab.page.goto(url);
    return tab;
  }
}

/** One tab with our page. */
export class Tab {
  /** Errors of the page and of its console. */
  errors = [];
  #t;

  constructor(t, page) {
    this.#t = t;
    this.page = page;
    page.on('pageerror', (error) => this.errors.push(`${error}`));
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(`${message.text()} (${message.location().url})`);
    });
  }

  /** `tombolo.probe()` */
  probe() {
    return this.page.evaluate(() => window.tombolo?.probe() ?? null);
  }

  /** Waits until `check(probe)` holds for the first torrent; returns that probe. */
  async until(what, check, options) {
    let probe = null;
    const seen = async () => (probe = await this.probe()) && check(probe);
    await until(`tab: ${what}`, seen, { ...options, describe: () => ({ ...short(probe), errors: this.errors.slice(-5) }) });
    return probe;
  }

  /** Waits until everything selected is verified and stored. */
  done(options) {
    return this.until('done', ({ t }) => t.done !== undefined, { within: 240_000, ...options });
  }

  /** Saves file `index` of the first torrent by the button in its row; returns the path of the saved file. */
  async save(index) {
    const saved = this.page.waitForEvent('download', { timeout: 60_000 });
    await this.page.evaluate((file) => window.tombolo.torrents[0].save(file), index);
    const path = join(folder(this.#t, 'saved'), 'file');
    await (await saved).saveAs(path);
    return path;
  }

  /** SHA-256 of file `index` as the tab's storage has it, without the detour of a download. */
  digest(index) {
    return this.page.evaluate(async (file) => {
      const blob = await window.tombolo.torrents[0].file(file);
      const hash = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer());
      return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    }, index);
  }

  /** Drops files (given by their paths) on the page, as a user would share them. */
  async share(...paths) {
    await this.page.evaluate(() => window.tombolo.ready);
    await this.page.evaluate(() => {
      document.body.append(Object.assign(document.createElement('input'), { id: 'shared', type: 'file', multiple: true, hidden: true }));
    });
    await this.page.setInputFiles('#shared', paths);
    await this.page.evaluate(() => {
      const field = document.querySelector('#shared');
      const transfer = new DataTransfer();
      for (const file of field.files) transfer.items.add(file);
      for (const kind of ['dragenter', 'dragover', 'drop']) {
        document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
      }
      field.remove();
    });
  }

  /** Waits for the notice with this code; returns its words. */
  async notice(code) {
    const notice = this.page.locator(`#notices [data-code="${code}"]`);
    await notice.waitFor({ timeout: 60_000 });
    return notice.innerText();
  }

  /** Fails the test when the page reported errors, apart from those that `expected` matches. */
  assertClean(expected = /favicon/) {
    assert.deepEqual(this.errors.filter((error) => !expected.test(error)), []);
  }
}

/** A probe without its long parts, for messages. */
function short(probe) {
  if (!probe) return { probe };
  const { files, events, ...rest } = probe;
  return { ...rest, events: events?.slice(-8) };
}
