// How the page looks, as far as a program can tell: contrast of the tokens, widths without sideways scrolling, the piece
// map pixel by pixel, and pictures of every state under tests/output/page for people.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SIZES, change, output, settled, start } from './page-driver.mjs';

let driver;
before(async () => { driver = await start(); });
after(() => driver.close());

const PICTURED = ['desktop', 'phone'];
const STATES = ['empty', 'adding', 'downloading', 'done', 'seeding', 'hashing', 'many', 'list', 'stuck', 'no-tracker', 'quota', 'relay-gone', 'paused', 'insecure', 'no-webrtc', 'insecure-empty', 'no-webrtc-empty', 'banned'];

/** Least contrast of text and control edges on their grounds. */
const CONTRAST = [['ink', 'paper', 15], ['ink-2', 'paper', 6.7], ['action', 'paper', 7.7], ['on-action', 'action', 8], ['caution', 'paper', 7], ['ctl', 'paper', 3], ['coast', 'paper', 3], ['sand', 'deep', 5.3], ['shoal', 'deep', 3.2],
  ['tabs', 'paper', 5.6], ['native', 'paper', 10.8], ['relay', 'paper', 5.7], ['server', 'paper', 5.4], ...['ink', 'ink-2', 'tabs', 'native', 'relay', 'server'].map(token => [token, 'land', 4.5]), ...['ink', 'ink-2', 'relay', 'server'].map(token => [token, 'water', 4.5])];

for (const dark of [false, true]) {
  test(`contrast of the ${dark ? 'dark' : 'light'} tokens`, async () => {
    const page = await driver.open('empty', { dark });
    const names = [...new Set(CONTRAST.flatMap(([a, b]) => [a, b]))];
    const luminance = await page.evaluate(names => Object.fromEntries(names.map(name => {
      const probe = document.body.appendChild(document.createElement('i'));
      probe.style.color = `var(--${name})`;
      const parts = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(part => part / 255).map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      probe.remove();
      return [name, 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]];
    })), names);
    for (const [a, b, least] of CONTRAST) {
      const [high, low] = [luminance[a], luminance[b]].sort((x, y) => y - x);
      const ratio = (high + 0.05) / (low + 0.05);
      assert.ok(ratio >= least, `${a} on ${b}: ${ratio.toFixed(2)}, at least ${least}`);
    }
    assert.ok(luminance.deep < luminance.shoal && luminance.shoal < luminance.sand, 'depth reads without colour');
    await page.finish();
  });
}

for (const state of [...STATES, 'hostile']) {
  test(`nothing scrolls sideways, pictures: ${state}`, async () => {
    const page = await driver.open(state);
    for (const [size, [width, height]] of Object.entries(SIZES)) {
      await page.setViewportSize({ width, height });
      await settled(page);
      const [inner, scroll] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
      assert.ok(scroll <= inner, `${size}: ${scroll} in ${inner}`);
      if (PICTURED.includes(size)) await page.screenshot({ path: join(output, `${state}-${size}.png`) });
    }
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 1280, height: 800 });
    await settled(page);
    await page.screenshot({ path: join(output, `${state}-dark.png`) });
    await page.finish();
  });
}

test('what is touched is 44 high on a phone', async () => {
  const page = await driver.open('downloading', { size: 'small' });
  const low = await page.evaluate(() => [...document.querySelectorAll('button, input.field')].filter(node => node.checkVisibility() && !node.closest('.files')).map(node => [node.textContent || node.id, node.getBoundingClientRect().height]).filter(([, height]) => height < 44));
  assert.deepEqual(low, []);
  await page.finish();
});

/** Colours of the map's cells at their middles, by piece, with the tokens they should be. */
const cellColours = (page, pieces) => page.evaluate(async pieces => {
  const grids = await import('/ui/mapgrid.js');
  const canvas = document.querySelector('#map canvas[role=img]'), g = canvas.getContext('2d');
  const width = canvas.clientWidth, density = devicePixelRatio;
  const grid = grids.layout(window.tombolo.torrents[0].snapshot.pieces, width - 2, width < 600 ? 112 : 84);
  return pieces.map(piece => {
    const r = grids.rectOf(grid, grids.cellOf(grid, piece), density);
    const x = 1 + r.x + r.width * 0.35, mirrored = document.documentElement.dir === 'rtl' ? width - x : x;
    return [...g.getImageData(Math.round(mirrored * density), Math.round((1 + r.y + r.height * 0.35) * density), 1, 1).data].slice(0, 3).join();
  });
}, pieces);

const token = (page, name) => page.evaluate(name => {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.color = `var(--${name})`;
  const colour = getComputedStyle(probe).color.match(/\d+/g).join();
  probe.remove();
  return colour;
}, name);

for (const pieces of [3, 47, 1398, 8000]) {
  for (const rtl of pieces === 1398 ? [false, true] : [false]) {
    test(`the map shows what is verified: ${pieces} pieces${rtl ? ', right to left' : ''}`, async () => {
      const page = await driver.open('downloading', { query: `&pieces=${pieces}`, rtl });
      const sand = await token(page, 'sand'), deep = await token(page, 'deep');
      await change(page, "s.map.fill(0); s.counts.fill(2); s.files.forEach(file => { file.priority = 'normal'; }); for (let piece = 0; piece < s.pieces; piece += 3) s.map[piece] = 255;");
      const some = [...new Set([0, 1, 2, Math.floor(pieces / 2), pieces - 2, pieces - 1])];
      assert.deepEqual(await cellColours(page, some), some.map(piece => (piece % 3 === 0 ? sand : deep)));
      await page.finish();
    });
  }
}

test('beyond 3 px a cell is several pieces in five depths', async () => {
  const page = await driver.open('many');
  const looks = await page.evaluate(async () => {
    const grids = await import('/ui/mapgrid.js');
    const grid = grids.layout(100000, 1214, 84);
    const map = new Uint8Array(100000), counts = new Uint16Array(100000).fill(1);
    const cell = 500, from = grids.firstPiece(grid, cell), to = grids.firstPiece(grid, cell + 1);
    const seen = [];
    for (let piece = from; piece <= to; piece++) {
      seen.push(grids.progressLook(grid, cell, { map, counts, skip: null, connected: true }));
      map[piece] = 255;
    }
    const whole = grids.firstPiece(grid, 0) === 0 && grids.firstPiece(grid, grid.cells) === 100000;
    const inverse = Array.from({ length: 100000 }, (_, piece) => grids.cellOf(grid, piece)).every((cell, piece) => grids.firstPiece(grid, cell) <= piece && piece < grids.firstPiece(grid, cell + 1));
    return { kinds: seen.map(grids.kindOf), depths: [...new Set(seen)].length, whole, inverse, pieces: to - from };
  });
  assert.ok(looks.pieces > 4 && looks.whole && looks.inverse);
  assert.equal(looks.depths, 5);
  assert.deepEqual([looks.kinds[0], looks.kinds.at(-1)], [0, 2]);
  await page.finish();
});

test('only changed cells are drawn again', async () => {
  const page = await driver.open('downloading');
  await change(page, 's.map.fill(0); s.counts.fill(2);');
  await page.evaluate(() => {
    const g = document.querySelector('#map canvas[role=img]').getContext('2d'), fill = g.fillRect;
    window.fills = [];
    g.fillRect = function (...area) {
      window.fills.push(area);
      return fill.apply(this, area);
    };
  });
  await change(page, 's.map[700] = 255;');
  const fills = await page.evaluate(() => window.fills);
  assert.ok(fills.length > 0 && fills.length <= 4, `${fills.length} fills`);
  assert.ok(fills.every(([, , width, height]) => width < 12 && height < 12));
  assert.deepEqual(await cellColours(page, [699, 700, 701]), [await token(page, 'deep'), await token(page, 'sand'), await token(page, 'deep')]);
  await page.finish();
});

test('views by availability and source', async () => {
  const page = await driver.open('downloading', { query: '&pieces=40' });
  await change(page, "s.map.fill(255); s.counts.fill(10); s.counts[3] = 0; s.source.fill(2); s.source[5] = 1; s.files.forEach(file => { file.priority = 'normal'; });");
  await page.selectOption('#map-view', 'source');
  await settled(page);
  assert.deepEqual(await cellColours(page, [4, 5]), [await token(page, 'native'), await token(page, 'tabs')]);
  await page.selectOption('#map-view', 'availability');
  await settled(page);
  assert.deepEqual(await cellColours(page, [4]), [await token(page, 'sand')]);
  await page.screenshot({ path: join(output, 'availability.png') });
  await page.finish();
});

test('numbers', async () => {
  const page = await driver.open('empty');
  const out = await page.evaluate(async () => {
    const f = await import('/ui/format.js');
    return [f.bytes(0), f.bytes(999), f.bytes(999.6), f.bytes(3.24e6), f.bytes(733e6), f.bytes(52.4e9), f.bytes(999.9e3), f.rate(0), f.rate(410e3), f.count(999), f.count(1398), f.count(1234567), f.pieceSize(524288), f.pieceSize(2 ** 24),
      f.percent(0.6189), f.percent(0.99999, false), f.percent(1, true), f.wholePercent(0.999), f.duration(86), f.duration(10680), f.duration(273600), f.duration(null), f.duration(Infinity), f.clock(610), f.ratio(0.31), f.ratio(null), f.shortHash('7d2c1e0b9f4a83e65d10c2b7a94f6e3381bd05ac'), f.plural(1, 'file'), f.bytesOf(453e6, 733e6), f.bytesOf(9e5, 2e6)].map(text => text.replace(/\u00a0/g, '_').replace(/\u202f/g, '.'));
  });
  assert.deepEqual(out, ['0_B', '999_B', '1.00_kB', '3.24_MB', '733_MB', '52.4_GB', '1.00_MB', '–', '410_kB/s', '999', '1.398', '1.234.567', '512_KiB', '16_MiB',
    '61.8_%', '99.9_%', '100_%', '99_%', '1:26', '2_h_58', '3_d_4_h', '–', '–', '0.61_s', '0.31', '–', '7d2c1e0b…05ac', '1 file', '453 of 733_MB', '900_kB of 2.00_MB']);
  await page.finish();
});

for (const [name, look] of [['forced', { forced: true }], ['rtl', { rtl: true }], ['wide', { size: 'wide' }], ['tablet', { size: 'tablet' }], ['small', { size: 'small' }]]) {
  test(`pictures: downloading, ${name}`, async () => {
    const page = await driver.open('downloading', look);
    await page.screenshot({ path: join(output, `downloading-${name}.png`), fullPage: true });
    await page.finish();
  });
}

const REFUSED = { 'bad-magnet': 'magnet:?xt=urn:btih:7d2c1e0b9f4a83e65d10', policy: 'magnet:?xt=urn:btih:90aa4f6e3381bd057d2c1e0b9f4a83e65d10c2b7' };
for (const [name, link] of Object.entries(REFUSED)) {
  test(`pictures: ${name}`, async () => {
    for (const size of ['desktop', 'phone']) {
      const page = await driver.open('empty', { size });
      await page.fill('#open-field', link);
      await page.press('#open-field', 'Enter');
      await settled(page);
      await page.screenshot({ path: join(output, `${name}-${size}.png`) });
      await page.finish();
    }
  });
}

for (const state of ['empty', 'list', 'done', 'downloading']) {
  test(`pictures: ${state}, offline`, async () => {
    for (const size of ['desktop', 'phone']) {
      const page = await driver.open(state, { size });
      await page.context().setOffline(true);
      await settled(page);
      await page.screenshot({ path: join(output, `offline-${state}-${size}.png`) });
      await page.finish();
    }
  });
}

test('the graph fills as time passes', async () => {
  const page = await driver.open('downloading', { clock: true });
  const ink = () => page.evaluate(() => {
    const canvas = document.querySelector('#graph canvas'), { data } = canvas.getContext('2d').getImageData(0, canvas.height / 2, canvas.width, canvas.height / 2 - 4);
    let filled = 0;
    for (let at = 3; at < data.length; at += 4) if (data[at] > 0) filled++;
    return filled;
  });
  await page.clock.runFor(2000);
  const before = await ink();
  for (let n = 0; n < 60; n++) {
    await page.evaluate(k => {
      const [torrent] = window.tombolo.torrents, { rates } = torrent.snapshot;
      Object.assign(rates, { tabs: 1.6e6 + 4e5 * Math.sin(k / 5), native: 9e5 + 2e5 * Math.cos(k / 7) });
      window.tombolo.changed(torrent);
    }, n);
    await page.clock.runFor(2000);
  }
  assert.ok(await ink() > 20 * (before + 1));
  await page.screenshot({ path: join(output, 'downloading-graph.png') });
  await page.finish();
});
