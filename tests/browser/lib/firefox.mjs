// Debian's Firefox. Playwright drives only a Firefox of its own, so this one is driven by Puppeteer (WebDriver BiDi), behind those few words
// of Playwright's that the tests which run in both browsers use.

import { copyFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FIREFOX, folder } from './place.mjs';
import { until } from './wait.mjs';

/** WebRTC on loopback; downloads go to `downloads` unasked; nothing asks the network for what it was not told to. */
const preferences = (downloads) => ({
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.autoplay.default': 0,
  'browser.download.folderList': 2,
  'browser.download.dir': downloads,
  'browser.download.useDownloadDir': true,
  'browser.download.alwaysOpenPanel': false,
  'browser.helperApps.neverAsk.saveToDisk': 'application/octet-stream',
  'app.normandy.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
});

/** Starts one with this profile: `{newPage, close}`. */
export async function launch(t, profile) {
  const { default: puppeteer } = await import('puppeteer-core');
  const downloads = folder(t, 'downloads');
  const firefox = await puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: true,
    userDataDir: profile,
    defaultViewport: { width: 1280, height: 720 },
    extraPrefsFirefox: preferences(downloads),
    protocolTimeout: 280_000,
  });
  return {
    newPage: async () => new Page(await firefox.newPage(), downloads),
    close: () => firefox.close(),
  };
}

class Page {
  #page;
  #downloads;

  constructor(page, downloads) {
    this.#page = page;
    this.#downloads = downloads;
  }

  on(event, listener) {
    this.#page.on(event, listener);
  }

  goto(url) {
    return this.#page.goto(url);
  }

  reload() {
    return this.#page.reload();
  }

  close() {
    return this.#page.close();
  }

  evaluate(work, argument) {
    return this.#page.evaluate(work, argument);
  }

  addInitScript(work) {
    return this.#page.evaluateOnNewDocument(work);
  }

  waitForFunction(work) {
    return this.#page.waitForFunction(work);
  }

  async setInputFiles(selector, paths) {
    await (await this.#page.$(selector)).uploadFile(...paths);
  }

  locator(selector) {
    return new Locator(this.#page, selector);
  }

  /** Unlike Playwright it takes the name whole. */
  getByRole(role, { name }) {
    return new Locator(this.#page, `::-p-aria([name=${JSON.stringify(name)}][role="${role}"])`);
  }

  /** The only event that is waited for: a download that begins from now on. Firefox keeps a part beside what is not whole. */
  async waitForEvent(event, { timeout }) {
    if (event !== 'download') throw new Error(`no waiting for ${event}`);
    const list = () => readdirSync(this.#downloads);
    const before = new Set(list());
    const whole = () => {
      const names = list();
      const path = names.filter((name) => !before.has(name)).map((name) => join(this.#downloads, name))[0];
      return !names.some((name) => name.endsWith('.part')) && path && statSync(path).size > 0 && path;
    };
    const path = await until('a download', whole, { within: timeout, describe: list });
    return { saveAs: async (target) => copyFileSync(path, target) };
  }
}

class Locator {
  #page;
  #selector;

  constructor(page, selector) {
    this.#page = page;
    this.#selector = selector;
  }

  #found(options) {
    return this.#page.waitForSelector(this.#selector, options);
  }

  waitFor(options) {
    return this.#found({ ...options, visible: true });
  }

  async innerText() {
    return (await this.#found()).evaluate((element) => element.innerText);
  }

  async getAttribute(name) {
    return (await this.#found()).evaluate((element, attribute) => element.getAttribute(attribute), name);
  }

  async uncheck() {
    const box = await this.#found({ visible: true });
    if (await box.evaluate(({ checked }) => checked)) await box.click();
  }
}
