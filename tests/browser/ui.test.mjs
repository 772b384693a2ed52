// The page against a client without an engine: every state, its words, its keys, its accessible names.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { calls, change, clientCalls, settled, start } from './page-driver.mjs';

let driver;
before(async () => { driver = await start(); });
after(() => driver.close());

const text = (page, selector) => page.locator(selector).innerText();
const plain = string => string.replace(/[\u00a0\u202f]/g, ' ').replace(/[\u2066-\u2069]/g, '').replace(/\s+/g, ' ').trim();
const words = async (page, selector) => plain(await text(page, selector));

test('first paint needs no script', async () => {
  const page = await driver.open('empty', { scripts: false });
  assert.equal(await text(page, 'h1:visible'), 'Open a torrent in this tab.');
  assert.ok(await page.getByRole('textbox', { name: 'Magnet link, info-hash or address of a .torrent' }).isVisible());
  assert.ok(await page.getByRole('button', { name: 'Open' }).isVisible());
  await page.finish();
});

test('the empty page has landmarks, one field and the strip at rest', async () => {
  const page = await driver.open('empty');
  assert.equal(await page.getByRole('banner').count(), 1);
  assert.equal(await page.getByRole('main').count(), 1);
  assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
  assert.ok(await page.getByRole('button', { name: 'Choose a .torrent' }).isVisible());
  const strip = plain(await page.locator('#strip-rest svg').textContent());
  for (const part of ['connected, 14 ms', 'WebRTC works here.', '1 204 of them in 38 swarms now.']) assert.ok(strip.includes(part), `${part} in ${strip}`);
  const video = page.locator('video#player');
  assert.equal(await video.count(), 1);
  assert.equal(await video.isVisible(), false);
  await page.finish();
});

test('a link that is cut short says so at the field', async () => {
  const page = await driver.open('empty');
  const field = page.locator('#open-field');
  await field.fill('magnet:?xt=urn:btih:7d2c1e0b9f4a83e65d10');
  await field.press('Enter');
  const alert = page.getByRole('alert').filter({ hasText: /./ });
  assert.equal(plain(await alert.innerText()), 'This link is cut short. An info-hash has 40 characters and this one has 20. Copy the whole link again.');
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  assert.equal(await field.getAttribute('aria-describedby'), 'open-error');
  await field.fill('x');
  assert.equal(await field.getAttribute('aria-invalid'), null);
  assert.equal(await text(page, '#open-error'), '');
  await page.finish();
});

test('a torrent that the relay refuses can be opened without it', async () => {
  const page = await driver.open('empty');
  await page.fill('#open-field', 'magnet:?xt=urn:btih:90aa4f6e3381bd057d2c1e0b9f4a83e65d10c2b7');
  await page.click('#open .go');
  assert.match(await text(page, '#open-error'), /^The relay does not serve this torrent\./);
  await page.getByRole('button', { name: 'use another relay' }).click();
  await page.getByRole('dialog', { name: 'Settings' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Open without relay' }).click();
  await settled(page);
  assert.deepEqual((await clientCalls(page)).at(-1)[2], { relay: 'off' });
  assert.ok(await page.locator('#view-adding').isVisible());
  await page.finish();
});

test('adding is a log with a clock', async () => {
  const page = await driver.open('adding');
  const steps = (await page.locator('#steps li').allInnerTexts()).map(plain);
  assert.deepEqual(steps.map(step => step.replace(/^[\d.]+ s /, '').split(/ (?=Info|wss|14|2 tabs|3 of)/)[0]),
    ['Link understood', 'Tracker answered', 'Relay joined the swarm', 'Peers connected: 5', 'Getting the file list', 'First byte', 'First verified piece']);
  assert.equal(steps[3], '0.61 s Peers connected: 5 2 tabs by WebRTC, 3 native by relay');
  assert.equal(await page.locator('#steps [aria-current=step]').count(), 1);
  assert.equal(await page.locator('#steps').getAttribute('aria-live'), 'polite');
  assert.equal(await words(page, '#adding-sub'), 'name from the link, not confirmed yet');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await settled(page);
  assert.ok(await page.locator('#view-empty').isVisible());
  await page.finish();
});

test('after ten seconds without a peer the log says what is known', async () => {
  const page = await driver.open('lonely', { clock: true });
  await page.clock.runFor(2000);
  assert.equal(await page.locator('#steps li', { hasText: 'No peer yet' }).count(), 0);
  await page.clock.runFor(10000);
  const line = page.locator('#steps li', { hasText: 'No peer yet' });
  assert.match(plain(await line.innerText()), /Trackers know 140, the relay asked 14\. Leave the tab open\./);
  await page.finish();
});

test('downloading: readouts, names and lists', async () => {
  const page = await driver.open('downloading');
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Coastlines: a field film');
  assert.equal(await words(page, '#sub'), '8 files733 MB1 398 pieces of 512 KiB7d2c1e0b…05ac');
  assert.equal(await words(page, '#readouts'), '61.8 % 449 of 727 MB Time left 1:26 Down 3.24 MB/s Up 410 kB/s Peers 15 of 221 Ratio 0.31 Availability 9.62');
  assert.equal(await page.locator('#readouts').getAttribute('aria-live'), null);
  assert.equal(plain(await page.getByRole('img', { name: /pieces verified/ }).getAttribute('aria-label')), '61 % of 1 398 pieces verified, availability 9.62');
  const grid = page.getByRole('treegrid', { name: 'Files' });
  assert.equal(await grid.getByRole('row').count(), 12);
  assert.equal(await grid.getByRole('checkbox', { name: 'Download part-1.mp4' }).isChecked(), true);
  assert.equal(await grid.getByRole('checkbox', { name: 'Download stills.zip' }).isChecked(), false);
  assert.equal(await grid.getByRole('button', { name: 'Play part-1.mp4' }).count(), 1);
  assert.equal(await grid.getByRole('button', { name: 'Save part-1.mp4' }).getAttribute('aria-disabled'), 'true');
  const peers = page.getByRole('table', { name: 'Peers', exact: true });
  assert.equal(await peers.locator('tbody tr:not(.pad)').count(), 15);
  assert.equal(await peers.locator('abbr').first().getAttribute('title'), 'downloading from it');
  assert.equal(plain(await page.getByRole('table', { name: 'Trackers' }).innerText()), 'Tracker State Next Peers Relay answers – 212 wss://tracker.example.net answered 4 s ago in 100 s 9 udp://open.example.org:6969 answered 21 s ago in 100 s 140');
  assert.equal(await page.locator('#strip table tr').count(), 13);
  assert.equal(await words(page, '#strip-scale'), 'solid to you, dashed from you, 8 px = 1 MB/s');
  await page.finish();
});

test('names from outside never become markup', async () => {
  const page = await driver.open('hostile');
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.locator('img, main script, svg[onload], [onerror]').count(), 0);
  assert.ok((await text(page, '#name')).includes('<img src=x onerror='));
  assert.equal(await page.locator('#name > bdi').count(), 1);
  assert.ok(await page.locator('#files-list bdi', { hasText: '<img' }).count() >= 1);
  assert.equal(await page.locator('.notice', { hasText: '<script>' }).count(), 2);
  assert.equal(await page.evaluate(() => /[\u202a-\u202e]/.test(document.body.innerText + document.title)), false, 'no character turns a name around');
  await page.evaluate(() => document.querySelector('#map canvas[role=img]').focus());
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await page.finish();
});

test('text changes at most four times a second, and only where it differs', async () => {
  const page = await driver.open('downloading', { clock: true });
  await page.clock.runFor(1000);
  await page.evaluate(() => {
    window.changes = new Map();
    new MutationObserver(list => {
      for (const { target, type } of list) if (type === 'characterData') window.changes.set(target, (window.changes.get(target) ?? 0) + 1);
    }).observe(document.querySelector('#readouts'), { characterData: true, subtree: true });
  });
  for (let n = 0; n < 40; n++) {
    await page.evaluate(k => {
      const [torrent] = window.tombolo.torrents;
      torrent.snapshot.down = 1e6 + k * 1e4;
      window.tombolo.changed(torrent);
    }, n);
    await page.clock.runFor(50);
  }
  const changes = await page.evaluate(() => [...window.changes.values()]);
  assert.equal(changes.length, 1, 'only the rate changed');
  assert.ok(changes[0] > 2 && changes[0] <= 8, `${changes[0]} changes in 2 s`);
  await page.finish();
});

test('the strip keeps its paths and sets widths', async () => {
  const page = await driver.open('downloading', { clock: true });
  await page.clock.runFor(1000);
  await page.evaluate(() => { window.paths = [...document.querySelectorAll('#strip path.flow')]; window.ds = window.paths.map(path => path.getAttribute('d')); });
  const widths = () => page.evaluate(() => [...document.querySelectorAll('#strip path.flow')].map(path => Number(path.getAttribute('stroke-width'))));
  const before = await widths();
  assert.equal(before[0], 7.3, '912 kB/s at 8 px = 1 MB/s');
  await page.evaluate(() => {
    const [torrent] = window.tombolo.torrents;
    torrent.snapshot.peers[0].down = 456e3;
    window.tombolo.changed(torrent);
  });
  await page.clock.runFor(500);
  assert.equal((await widths())[0], 7.3, 'all lines wait for each other');
  await page.clock.runFor(2000);
  assert.equal((await widths())[0], 3.65);
  assert.ok(await page.evaluate(() => window.paths.every((path, index) => path.isConnected && path.getAttribute('d') === window.ds[index])));
  await page.finish();
});

test('the bar is there only while the relay is', async () => {
  const page = await driver.open('relay-gone');
  assert.equal(await page.locator('#strip .shore').count(), 2);
  assert.equal(await page.locator('#strip .gone').count(), 2);
  assert.ok((await page.locator('#strip svg').textContent()).includes('Relay out of reach'));
  await page.evaluate(() => {
    window.tombolo.relay.state = 'connected';
    window.tombolo.dispatchEvent(new Event('change'));
  });
  await settled(page);
  assert.equal(await page.locator('#strip .shore').count(), 1);
  assert.equal(await page.locator('#strip rect[fill="url(#p-stipple)"]').count(), 1);
  await page.finish();
  const wire = await driver.open('downloading', { query: '&transport=WebSocket' });
  assert.equal(await wire.locator('#strip .ruled').count(), 1);
  await wire.finish();
});

const NOTICES = {
  'no-tracker': ['know', 'Tracker does not answer', /^wss:\/\/tracker\.example\.net closed the connection 3 times \(last: no route\)\. .*: 8 connected\.$/, ['Try now', 'Edit trackers']],
  'no-webrtc': ['act', 'No direct connections to other tabs', /Allow WebRTC for this site, then reload\.$/, ['Reload']],
  quota: ['act', 'No room left in this browser', /gives this site 2\.00 GB and 1\.98 GB are used\. Downloading is paused at 61\.8 %; 280 MB more are needed\. Nothing is lost\.$/, ['Choose what to keep']],
  insecure: ['act', 'Limited to 256 MiB: this page is not on https', /Open the https address, or localhost, for full size\.$/, ['Open by https']],
  stuck: ['act', 'Cannot complete now', /^Availability is 0\.94: nobody connected has \d+ of the 1 398 pieces\./, ['Ask more trackers']],
  'relay-gone': ['act', 'Relay is gone', /^The connection to relay\.example\.org ended; trying again in 3 s\./, ['Try now', 'Use another relay']],
  banned: ['know', 'Bad data from a peer', /^Deluge 2\.2 sent a piece that failed its check\./, []],
};
for (const [state, [level, title, body, buttons]] of Object.entries(NOTICES)) {
  test(`notice: ${state}`, async () => {
    const page = await driver.open(state);
    const notice = page.locator('.notice');
    assert.equal(await notice.count(), 1);
    assert.equal(plain(await notice.locator('h2').innerText()), title);
    assert.match(plain(await notice.locator('p').innerText()), body);
    assert.equal(await notice.evaluate(node => node.classList.contains('know')), level === 'know');
    assert.deepEqual(await notice.getByRole('button').allInnerTexts(), buttons);
    await page.finish();
  });
}

test('offline is said and goes away', async () => {
  const page = await driver.open('downloading');
  await page.context().setOffline(true);
  await settled(page);
  assert.equal(await text(page, '.notice h2'), 'Offline');
  await page.context().setOffline(false);
  await settled(page);
  assert.equal(await page.locator('.notice').count(), 0);
  await page.finish();
});

test('keys: field, pause, list of keys, files, map', async () => {
  const page = await driver.open('downloading');
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'add-bar-field');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Space');
  assert.deepEqual((await calls(page)).at(-1), ['pause']);
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#files-list tr[role=row][tabindex="0"]').focus();
  const focused = () => page.evaluate(() => document.activeElement.querySelector('bdi')?.textContent);
  assert.equal(await focused(), 'Coastlines: a field film/');
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), 'part-1.mp4');
  await page.keyboard.press('x');
  assert.deepEqual((await calls(page)).at(-1), ['setPriority', 0, 'skip']);
  await settled(page);
  await page.keyboard.press('p');
  assert.deepEqual((await calls(page)).at(-1), ['setPriority', 0, 'high']);
  for (let n = 0; n < 2; n++) await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), 'extras/');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-expanded')), 'false');
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), 'subtitles/');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('s');
  assert.deepEqual((await calls(page)).at(-1), ['save', 4]);
  await page.locator('#map canvas[role=img]').focus();
  await page.keyboard.press('ArrowDown');
  assert.match(plain(await page.locator('.map [role=status]').textContent()), /^Piece 1: /);
  await page.keyboard.press('ArrowRight');
  assert.match(plain(await text(page, '.legend .said')), /^Piece 11: .*peers? ha(s|ve) it$/);
  await page.finish();
});

test('one tab stop for the tree, then its row’s controls', async () => {
  const page = await driver.open('downloading');
  await page.locator('#files-list tr[role=row][tabindex="0"]').focus();
  await page.keyboard.press('ArrowDown');
  const seen = [];
  for (let n = 0; n < 5; n++) {
    await page.keyboard.press('Tab');
    seen.push(await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName));
  }
  assert.deepEqual(seen, ['Download part-1.mp4', 'Priority of part-1.mp4', 'Play part-1.mp4', 'Save part-1.mp4', 'TR']);
  await page.finish();
});

test('ten thousand files: rows are pooled, the filter finds', async () => {
  const page = await driver.open('many');
  const rows = page.locator('#files-list tbody tr[role=row]');
  assert.ok(await rows.count() < 60);
  assert.equal(await page.getByRole('treegrid').getAttribute('aria-rowcount'), '10402');
  await page.evaluate(() => { document.querySelector('#files-list').scrollTop = 150000; });
  await settled(page);
  assert.ok(Number(await rows.first().getAttribute('aria-rowindex')) > 4000);
  // A little further: only what came into reach is another row, and the one in focus stays where it is.
  await page.evaluate(() => {
    window.before = new Set(document.querySelectorAll('#files-list tbody tr[role=row]'));
    window.filled = 0;
    const watched = [...window.before].slice(10, 26);
    new MutationObserver(list => { window.filled += list.length; }).observe(watched[0].parentNode, { childList: true });
    watched[4].focus();
    window.held = watched[4];
    document.querySelector('#files-list').scrollTop -= 90;
  });
  await settled(page);
  assert.deepEqual(await page.evaluate(() => [window.filled > 0 && window.filled <= 16, document.activeElement === window.held, [...document.querySelectorAll('#files-list tbody tr[role=row]')].every((row, at, all) => at === 0 || Number(row.ariaRowIndex) === Number(all[at - 1].ariaRowIndex) + 1)]), [true, true, true]);
  await page.fill('#files-find', 'sheet-0777');
  await settled(page);
  assert.equal(await rows.count(), 10);
  assert.match(await rows.first().innerText(), /sheet-07770\.tif/);
  await page.finish();
});

test('playing shows the one player there is', async () => {
  const page = await driver.open('downloading');
  await page.evaluate(() => { window.video = document.querySelector('video#player'); });
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  assert.deepEqual((await calls(page)).at(-1), ['play', 0]);
  assert.ok(await page.locator('video#player').isVisible());
  await page.getByRole('button', { name: 'Close' }).click();
  assert.equal(await page.evaluate(() => window.video === document.querySelector('video#player') && document.querySelectorAll('video').length === 1), true);
  await page.finish();
});

test('the player: its file, the others that play, subtitles beside the film', async () => {
  const page = await driver.open('downloading');
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await settled(page);
  assert.equal(await words(page, '#playlist-sum'), '3 of 8 files play');
  assert.match(await words(page, '#playlist [aria-current]'), /part-1\.mp4 88 % here/);
  assert.deepEqual(await page.getByLabel('Subtitles').locator('option').allInnerTexts(), ['Subtitles: off', 'en', 'de']);
  assert.match(await words(page, '#player-facts'), /From relay or server 6\.0 %/);
  const slider = page.getByRole('slider', { name: 'Position' });
  assert.equal(await slider.getAttribute('aria-valuenow'), '0');
  await page.locator('#playlist').getByRole('button', { name: /part-2\.mp4/ }).click();
  assert.deepEqual((await calls(page)).at(-1), ['play', 1]);
  await settled(page);
  assert.match(await words(page, '#playlist [aria-current]'), /part-2\.mp4/);
  // No subtitles are named like the second part; all of the folder are offered.
  assert.deepEqual(await page.getByLabel('Subtitles').locator('option').allInnerTexts(), ['Subtitles: off', 'part-1.en', 'part-1.de']);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#player-box').isVisible(), false);
  await page.finish();
});

test('subtitles of either kind become WebVTT', async () => {
  const page = await driver.open('empty');
  const asWebVtt = text => page.evaluate(async source => (await import('/ui/subtitles.js')).asWebVtt(source), text);
  assert.equal(await asWebVtt('\ufeff1\r\n00:00:01,500 --> 00:00:02,000\r\nOne, two\r\n'), 'WEBVTT\n\n1\n00:00:01.500 --> 00:00:02.000\nOne, two\n');
  assert.equal(await asWebVtt('WEBVTT\n\n00:01.000 --> 00:02.000\nOne\n'), 'WEBVTT\n\n00:01.000 --> 00:02.000\nOne\n');
  await page.finish();
});

test('done: everything can be saved', async () => {
  const page = await driver.open('done');
  assert.match(await words(page, '#readouts'), /^100 % 733 of 733 MB/);
  assert.equal(await words(page, '#phase'), 'random first rarest first endgame complete');
  await page.getByRole('button', { name: 'Save all' }).click();
  assert.deepEqual((await calls(page)).map(call => call.join(' ')), Array.from({ length: 8 }, (_, n) => `save ${n}`));
  await page.getByRole('button', { name: 'Share' }).click();
  assert.match(await page.inputValue('#link'), /^http:\/\/127\.0\.0\.1:\d+\/#magnet:\?xt=urn:btih:7d2c/);
  await page.getByRole('button', { name: 'Copy link' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.inputValue('#link'));
  await page.finish();
});

test('100 % only when all is verified', async () => {
  const page = await driver.open('downloading');
  await change(page, 's.haveWanted = s.wanted - 1');
  assert.match(await words(page, '#readouts'), /^99\.9 %/);
  await page.finish();
});

test('files are dropped to open or to share', async () => {
  const page = await driver.open('empty');
  const drag = (type, files) => page.evaluate(([type, files]) => {
    const data = new DataTransfer();
    for (const [name, mime, body] of files) data.items.add(new File([body], name, { type: mime }));
    dispatchEvent(new DragEvent(type, { dataTransfer: data, cancelable: true }));
    return document.querySelector('#drop').hidden ? null : document.querySelector('#drop').textContent;
  }, [type, files]);
  const film = [['film.mp4', 'video/mp4', 'x'], ['notes.txt', 'text/plain', 'y']], torrent = [['a.torrent', 'application/x-bittorrent', 'd4:infoe']];
  assert.equal(await drag('dragenter', film), 'Drop to share');
  assert.equal(await drag('dragleave', film), null);
  assert.equal(await drag('dragenter', torrent), 'Drop to open');
  assert.equal(await drag('drop', torrent), null);
  await settled(page);
  assert.equal((await clientCalls(page))[0][0], 'add');
  assert.ok(await page.locator('#view-adding').isVisible());
  await drag('drop', film);
  await settled(page);
  assert.deepEqual((await clientCalls(page))[1], ['seed', ['film.mp4', 'notes.txt']]);
  assert.match(await words(page, '#give-lead'), /^Preparing your files: 454 of 733 MB read\. The link appears when all is read\.$/);
  await drag('drop', [['b.torrent', 'application/x-bittorrent', 'not one']]);
  await settled(page);
  assert.match(await words(page, '#add-bar-error'), /^This is not a \.torrent\. Expected a dictionary at byte 0\.$/);
  await page.finish();
});

test('a link pasted anywhere is opened', async () => {
  const page = await driver.open('downloading');
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.setData('text/plain', 'magnet:?xt=urn:btih:0123456789012345678901234567890123456789');
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
  });
  await settled(page);
  assert.equal((await clientCalls(page))[0][0], 'add');
  await page.finish();
});

test('several torrents: open, pause, remove with a question', async () => {
  const page = await driver.open('list');
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Torrents');
  assert.equal(await page.locator('.list tbody tr').count(), 5);
  assert.match(plain(await page.locator('.list tbody tr').nth(3).innerText()), /8\.1 % Cannot complete/);
  await page.getByRole('button', { name: 'Pause Coastlines: a field film' }).click();
  assert.deepEqual(await calls(page), [['pause']]);
  await page.getByRole('button', { name: 'Remove Coastlines: a field film' }).click();
  await page.getByRole('button', { name: 'Remove, keep files' }).click();
  await settled(page);
  assert.equal(await page.locator('.list tbody tr').count(), 4);
  await page.getByRole('button', { name: 'Low water, season 1', exact: true }).click();
  await settled(page);
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Low water, season 1');
  await page.keyboard.press('Escape');
  await settled(page);
  assert.ok(await page.locator('#view-list').isVisible());
  await page.goBack();
  await settled(page);
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'Low water, season 1');
  await page.finish();
});

test('settings are saved as they change', async () => {
  const page = await driver.open('empty');
  await page.getByRole('button', { name: 'Settings' }).click();
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  await dialog.getByRole('textbox', { name: 'Upload limit' }).fill('500k');
  await dialog.getByRole('textbox', { name: 'Download limit' }).fill('2,5 MB/s');
  await page.keyboard.press('Tab');
  await dialog.getByRole('combobox', { name: 'Theme' }).selectOption('dark');
  assert.deepEqual(await clientCalls(page), [['configure', { up: 500000 }], ['configure', { down: 2500000 }]]);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await dialog.getByRole('textbox', { name: 'Extra trackers' }).fill('wss://one.example/announce, ws://127.0.0.1:8000');
  await dialog.getByRole('textbox', { name: 'ICE servers' }).fill('http://not.one');
  await dialog.getByRole('checkbox', { name: 'Use the relay' }).uncheck();
  await dialog.getByRole('checkbox', { name: 'Use the relay' }).check();
  await dialog.getByRole('textbox', { name: 'Data cap' }).fill('10 GB a month');
  await dialog.getByRole('checkbox', { name: 'Upload to others' }).uncheck();
  assert.deepEqual((await clientCalls(page)).slice(2), [['configure', { trackers: ['wss://one.example/announce', 'ws://127.0.0.1:8000'] }], ['configure', { relay: 'off' }], ['configure', { relay: 'https://relay.example.org' }], ['configure', { cap: 1e10 }], ['configure', { share: false }]]);
  assert.equal(await dialog.getByRole('textbox', { name: 'ICE servers' }).getAttribute('aria-invalid'), 'true');
  assert.deepEqual(await dialog.getByRole('heading', { level: 2 }).allInnerTexts(), ['Storage', 'Sharing', 'Connections', 'Appearance']);
  await dialog.getByRole('textbox', { name: 'Upload limit' }).fill('fast');
  await page.keyboard.press('Tab');
  assert.equal(await dialog.getByRole('textbox', { name: 'Upload limit' }).getAttribute('aria-invalid'), 'true');
  await page.finish();
});

test('the settings show what was set, and where it is asked for', async () => {
  const page = await driver.open('no-tracker');
  await page.evaluate(() => Object.assign(window.tombolo.settings, { up: 1.5e6, cap: 1e10, trackers: ['wss://one.example'], keep: false }));
  await page.getByRole('button', { name: 'Edit trackers' }).click();
  const dialog = page.getByRole('dialog', { name: 'Settings' });
  await dialog.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Extra trackers');
  assert.equal(await dialog.getByRole('textbox', { name: 'Extra trackers' }).inputValue(), 'wss://one.example');
  assert.equal(await dialog.getByRole('textbox', { name: 'Upload limit' }).inputValue(), '1.5 MB/s');
  assert.equal(await dialog.getByRole('textbox', { name: 'Data cap' }).inputValue(), '10 GB a month');
  assert.equal(await dialog.getByRole('checkbox', { name: 'Keep downloads' }).isChecked(), false);
  await page.keyboard.press('Escape');
  await page.fill('#add-bar-field', `magnet:?xt=urn:btih:${'ab'.repeat(20)}`);
  await page.keyboard.press('Enter');
  await settled(page);
  assert.deepEqual((await clientCalls(page)).at(-1)[2], { keep: false });
  await page.finish();
});

test('no room: what would make some is offered by name', async () => {
  const page = await driver.open('quota-list');
  await page.getByRole('button', { name: 'Coastlines: a field film', exact: true }).click();
  await settled(page);
  const free = page.locator('.notice').getByRole('button', { name: /^Free/ });
  assert.equal(plain(await free.innerText()), 'Free 733 MB: remove “Low water, season 1”');
  await free.click();
  await settled(page);
  assert.deepEqual(await page.evaluate(() => window.tombolo.torrents.map(({ snapshot }) => snapshot.name)), ['Coastlines: a field film', 'field-recordings.zip', 'slides-harbour-talk.pdf']);
  await page.finish();
});

test('a link put into the address of an open page is opened', async () => {
  const page = await driver.open('downloading');
  const link = 'magnet:?xt=urn:btih:0123456789012345678901234567890123456789';
  await page.evaluate(hash => { location.hash = hash; }, link);
  await settled(page);
  assert.deepEqual((await clientCalls(page))[0].slice(0, 2), ['add', link]);
  await page.finish();
});

test('pictures and text open in a tab of their own', async () => {
  const page = await driver.open('downloading');
  await page.evaluate(() => {
    window.tombolo.torrents[0].fileURL = index => `/icons/tombolo.svg?${index}`;
  });
  const opened = page.context().waitForEvent('page');
  await page.getByRole('button', { name: 'Open cover.jpg' }).click();
  assert.match((await opened).url(), /tombolo\.svg\?7$/);
  assert.equal(await page.locator('#player-box').isVisible(), false);
  await page.finish();
});

test('a link is shown as a code that other programs read', async () => {
  const page = await driver.open('seeding');
  await page.locator('#qr svg').waitFor();
  assert.equal(await page.getByRole('img', { name: 'QR code of the link' }).isVisible(), true);
  const digests = await page.evaluate(async () => {
    const { qr } = await import('/ui/qr.js');
    const texts = ['A', 'https://tombolo.example/#magnet:?xt=urn:btih:7d2c1e0b9f4a83e65d10c2b7a94f6e3381bd05ac', 'x'.repeat(110), 'é'.repeat(150), 'magnet '.repeat(95)];
    const digest = async path => [...new Uint8Array(await crypto.subtle.digest('SHA-1', new TextEncoder().encode(path)))].slice(0, 4).map(byte => byte.toString(16).padStart(2, '0')).join('');
    return [...await Promise.all(texts.map(qr).map(async code => `${code.size} ${await digest(code.path)}`)), qr('x'.repeat(700))];
  });
  // Each of these was read back by jsQR 1.4, as was one of every third length up to the longest.
  assert.deepEqual(digests, ['21 dfba7b78', '41 6e25c0c0', '45 3ebdea14', '69 246a2d38', '97 451dbf2e', null]);
  await page.finish();
});

test('where files can be saved as they arrive, all of them are one zip, or a folder', async () => {
  const page = await driver.open('downloading');
  await page.evaluate(() => {
    const [torrent] = window.tombolo.torrents;
    window.showDirectoryPicker = () => {};
    torrent.zipURL = () => '/zip';
    torrent.saveZip = async files => torrent.log('saveZip', files);
    torrent.saveTo = async () => torrent.log('saveTo');
    window.tombolo.changed(torrent);
  });
  await settled(page);
  await page.getByRole('button', { name: 'Save part-1.mp4' }).click();
  assert.deepEqual((await calls(page)).at(-1), ['save', 0]);
  await page.getByRole('button', { name: 'Save all' }).click();
  assert.deepEqual((await calls(page)).at(-1), ['saveZip', [0, 1, 2, 4, 5, 6, 7]]);
  await page.getByRole('button', { name: 'Save to a folder' }).click();
  assert.deepEqual((await calls(page)).at(-1), ['saveTo']);
  await page.finish();
});
