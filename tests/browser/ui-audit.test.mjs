// What an audit of a page looks for, in every state: names for everything that can be used, one heading of the first level, contrast of all
// text, focus that is seen, nothing that jumps.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { change, output, settled, start } from './page-driver.mjs';

let driver;
before(async () => { driver = await start(); });
after(() => driver.close());

const STATES = ['empty', 'adding', 'downloading', 'done', 'seeding', 'hashing', 'list', 'stuck', 'no-tracker', 'quota', 'relay-gone', 'insecure-empty', 'no-webrtc-empty', 'hostile'];

/** What opens over or within a state. */
const OPENED = {
  settings: page => page.getByRole('button', { name: 'Settings' }).click(),
  keys: page => page.keyboard.press('?'),
  question: page => page.getByRole('button', { name: /^Stop sharing/ }).focus(),
  share: page => page.getByRole('button', { name: 'Share', exact: true }).click(),
  player: page => page.getByRole('button', { name: 'Play', exact: true }).click(),
  flags: page => page.locator('.flagkey summary').click(),
};

const NAMED = ['button', 'link', 'textbox', 'checkbox', 'combobox', 'img', 'slider', 'treegrid', 'table', 'dialog', 'meter', 'tab', 'tabpanel', 'navigation', 'searchbox'];

/** Faults of the accessibility tree and of the document. */
async function faults(page) {
  const devtools = await page.context().newCDPSession(page);
  const { nodes } = await devtools.send('Accessibility.getFullAXTree');
  const nameless = nodes.filter(({ ignored, role, name, properties = [] }) => !ignored && NAMED.includes(role?.value) && !name?.value && !properties.some(({ name: key, value }) => key === 'hidden' && value.value));
  const document = await page.evaluate(() => {
    const out = [];
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of new Set(ids)) if (ids.indexOf(id) !== ids.lastIndexOf(id)) out.push(`two elements are ${id}`);
    for (const node of document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls], label[for]')) {
      if (node.matches('dialog:not([open])')) continue;
      for (const key of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
        for (const id of (node.getAttribute(key) ?? '').split(' ').filter(Boolean)) if (!ids.includes(id)) out.push(`${key} names ${id}, which is not there`);
      }
    }
    const shown = [...document.querySelectorAll('h1, h2, h3')].filter(node => node.checkVisibility() && !node.closest('dialog'));
    const levels = shown.map(node => Number(node.tagName[1]));
    if (levels.filter(level => level === 1).length !== 1) out.push(`${levels.filter(level => level === 1).length} headings of the first level`);
    levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) out.push(`a heading skips a level: ${shown[at].textContent}`); });
    if (!document.documentElement.lang) out.push('no language');
    for (const node of document.querySelectorAll('[aria-hidden=true]')) if (node.querySelector('a[href], button:not([tabindex="-1"]), input, [tabindex="0"]')) out.push(`hidden from readers, but in the tab order: ${node.outerHTML.slice(0, 80)}`);
    return out;
  });
  return [...nameless.map(({ role, description }) => `a ${role.value} without a name ${description?.value ?? ''}`), ...document];
}

/** Text whose contrast with what is behind it is too low. */
const pale = page => page.evaluate(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], [x, y, z]) => [r, g, b].map((value, at) => value * a / 255 + [x, y, z][at] * (1 - a / 255));
  const light = ([r, g, b]) => [r, g, b].map(value => value / 255).map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = node => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || node.closest('svg, script, option, noscript, .vh, [aria-disabled=true]') || !node.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(node), behind = ground(node), size = parseFloat(style.fontSize);
    const [a, b] = [light(over(rgba(style.color), behind)), light(behind)].sort((x, y) => y - x);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if ((a + 0.05) / (b + 0.05) < least) found.push(`${((a + 0.05) / (b + 0.05)).toFixed(2)} ${walk.currentNode.data.slice(0, 40)}`);
  }
  return found;
});

for (const state of STATES) {
  test(`names, headings, references and contrast: ${state}`, async () => {
    for (const look of [{}, { size: 'phone' }, { dark: true }]) {
      const page = await driver.open(state, look);
      assert.deepEqual(await faults(page), [], JSON.stringify(look));
      assert.deepEqual(await pale(page), [], JSON.stringify(look));
      await page.finish();
    }
  });
}

for (const [name, open] of Object.entries(OPENED)) {
  test(`names and contrast: ${name}`, async () => {
    for (const look of [{}, { size: 'phone', dark: true }]) {
      const page = await driver.open(name === 'question' ? 'seeding' : 'downloading', look);
      if (name === 'flags' && look.size) await page.getByRole('tab', { name: 'Peers' }).click();
      await open(page);
      await settled(page);
      assert.deepEqual(await faults(page), []);
      assert.deepEqual(await pale(page), []);
      const [inner, scroll] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
      assert.ok(scroll <= inner, `${scroll} in ${inner}`);
      await page.screenshot({ path: join(output, `${name}-${look.size ? 'phone-dark' : 'desktop'}.png`) });
      await page.finish();
    }
  });
}

/**
 * Notes what jumped without anybody’s doing. Digits that are set flush to the end begin elsewhere when they are more: that counts too, a little.
 */
const watchShifts = () => {
  window.shifts = [];
  new PerformanceObserver(list => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) if (!hadRecentInput) window.shifts.push([value, sources.map(({ node }) => node?.id || node?.className || node?.nodeName)]);
  }).observe({ type: 'layout-shift', buffered: true });
};

for (const state of ['empty', 'adding', 'downloading', 'seeding', 'list', 'many']) {
  for (const size of ['desktop', 'phone']) {
    test(`nothing jumps while numbers change: ${state}, ${size}`, async () => {
      const page = await driver.open(state, { size });
      await page.evaluate(watchShifts);
      await settled(page);
      await page.evaluate(() => { window.shifts.length = 0; });
      for (let step = 1; step <= 6; step++) {
        await page.evaluate(n => {
          for (const torrent of window.tombolo.torrents) {
            const s = torrent.snapshot;
            Object.assign(s, { down: 10 ** (n + 1), up: 10 ** (7 - n), upRate: 10 ** (7 - n), eta: 7 ** n, ratio: n * 3.7, known: 3 ** n });
            Object.assign(s.rates, { tabs: 10 ** n, native: 10 ** (7 - n), relay: n % 2 * 2e5, server: n % 2 * 3e4 });
            s.peers.forEach((peer, at) => Object.assign(peer, { down: 10 ** ((n + at) % 7), up: 10 ** ((n * at) % 6) }));
            s.trackers.forEach(tracker => Object.assign(tracker, { age: n * 11, next: 1000 >> n }));
            for (let piece = n * 20; piece < Math.min(s.pieces, n * 20 + 20); piece++) s.map[piece] = 255;
            window.tombolo.changed(torrent);
          }
        }, step);
        await settled(page);
      }
      const shifts = await page.evaluate(() => window.shifts);
      assert.ok(shifts.reduce((sum, [value]) => sum + value, 0) < 0.002, JSON.stringify(shifts));
      await page.finish();
    });
  }
}

test('every stop of the tab key is seen, named and left again', async () => {
  for (const state of ['empty', 'downloading', 'list']) {
    const page = await driver.open(state);
    const stops = [];
    for (let n = 0; n < 80; n++) {
      await page.keyboard.press('Tab');
      const stop = await page.evaluate(() => {
        const node = document.activeElement, style = getComputedStyle(node);
        if (node === document.body) return null;
        return { what: node.id || node.getAttribute('aria-label') || node.textContent.slice(0, 30), ring: parseFloat(style.outlineWidth) >= 3 && style.outlineStyle !== 'none', box: node.getBoundingClientRect().width > 0 };
      });
      if (!stop) break;
      stops.push(stop);
    }
    assert.ok(stops.length > 5 && stops.length < 80, `${stops.length} stops`);
    assert.deepEqual(stops.filter(({ ring, box }) => !ring || !box), [], state);
    await page.finish();
  }
});

test('peers by keys: what their flags mean, and what they have in the map', async () => {
  const page = await driver.open('downloading');
  await page.locator('#peers-list tbody tr[tabindex="0"]').focus();
  await page.keyboard.press('ArrowDown');
  await settled(page);
  assert.match(await page.locator('#peers-said').innerText(), /^Tombolo 09c2: downloading from it, uploading to it, web: WebRTC or HTTP, no relay between\.$/);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-describedby')), 'peers-said');
  assert.match((await page.locator('.legend .said').innerText()).replace(/\s/g, ' '), /^It has 994 of 1 398 pieces$/);
  assert.ok(await page.locator('.veil').isVisible());
  await page.screenshot({ path: join(output, 'peer-marked.png') });
  await page.keyboard.press('Tab');
  assert.equal(await page.locator('.veil').isVisible(), false);
  assert.equal(await page.locator('.legend .said').innerText(), '');
  await page.locator('#strip').hover({ position: { x: 200, y: 120 } });
  await settled(page);
  assert.ok(await page.locator('.veil').isVisible(), 'the row of the strip under the pointer');
  await page.finish();
});

test('the map frames what the player is at', async () => {
  const page = await driver.open('downloading');
  await page.evaluate(() => {
    const video = document.querySelector('video#player');
    Object.defineProperties(video, { duration: { value: 2538 }, currentTime: { value: 612, writable: true } });
  });
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await change(page, 's.version = 2');
  const [frame, canvas] = await page.evaluate(() => ['#map .window', '#map canvas[role=img]'].map(selector => document.querySelector(selector).getBoundingClientRect().toJSON()));
  // Part 1 is the first 595 of 1398 pieces, and 612 s of its 2538 are played.
  const at = (frame.left - canvas.left) / canvas.width;
  assert.ok(Math.abs(at - 612 / 2538 * 595 / 1398) < 0.02, `${at}`);
  assert.equal(frame.height, canvas.height);
  assert.equal(await page.locator('#readouts').isVisible(), false, 'the film has its own numbers');
  assert.match((await page.locator('#playlist').innerText()).replace(/\s+/g, ' '), /part-2\.mp4 46 % here, fetched from 41:48 on/);
  await page.screenshot({ path: join(output, 'playing-desktop.png'), fullPage: true });
  await page.finish();
});
