// The words of every failure: what happened, why, what to do. One place for notices and for errors under the field, so
// that the same thing is said the same way everywhere. Pure.
import { bytes, clean, count, NBSP, percent, quoted } from './kit.js';

/** What the error of `client.add` or `client.seed` says under the field: `{title, text, actions}`. */
export function errorWords(error) {
  const { code, details = {} } = error ?? {};
  const text = sentence(error?.message);
  if (code === 'bad-magnet') return badMagnet(details, text);
  if (code === 'not-allowed') {
    return { title: 'The relay does not serve this torrent.', text: 'Its operator allows listed torrents only. Other tabs can still have it:', actions: [['open-without-relay', 'Open without relay'], ['another-relay', 'use another relay']] };
  }
  const titles = { 'bad-metainfo': 'This is not a usable .torrent.', 'bad-bencode': 'This is not a .torrent.', 'not-found': 'Nothing was found there.', 'too-large': 'This is too large.',
    quota: 'No room left in this browser.', network: 'This address could not be read.', 'file-gone': 'The file could not be read.' };
  return { title: titles[code] ?? 'It could not be opened.', text, actions: [] };
}

function badMagnet(details, text) {
  const { expected, received } = details;
  if (received > 0 && expected > received) return { title: 'This link is cut short.', text: `An info-hash has ${expected} characters and this one has ${received}. Copy the whole link again.`, actions: [] };
  if (received > 0 && expected < received) return { title: 'This link is too long.', text: `An info-hash has ${expected} characters and this one has ${received}. Copy the link again.`, actions: [] };
  return { title: 'This is not a link to a torrent.', text, actions: [] };
}

function sentence(message) {
  if (!message) return '';
  const text = clean(message).slice(0, 300);
  return text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? '' : '.');
}

const PHRASES = {
  'webrtc-missing': () => ['act', 'No direct connections to other tabs', 'This browser has WebRTC switched off, or an extension blocks it. Downloading goes on through the relay, slower and without sharing between tabs. Allow WebRTC for this site, then reload.', [['reload', 'Reload']]],
  insecure: ({ limit }) => ['act', `Limited to ${binary(limit)}: this page is not on https`, 'Browsers give a page on plain http no file storage and no service worker, so the download is held in memory and ends with the tab. Open the https address, or localhost, for full size.', [['open-https', 'Open by https']]],
  offline: () => ['know', 'Offline', 'Complete files still open, play and save. Downloads go on by themselves when the network is back.', []],
  tracker: ({ url, failures, error, connected }) => ['know', 'Tracker does not answer', `${quoted(url)} closed the connection ${times(failures)}${error ? ` (last: ${quoted(error)})` : ''}. New peers can still come from the relay and from peers you already have: ${count(connected)} connected.`, [['announce', 'Try now'], ['trackers', 'Edit trackers']]],
  availability: ({ availability, absent, pieces }) => ['act', 'Cannot complete now', `Availability is ${availability}: nobody connected has ${count(absent)} of the ${count(pieces)} pieces. They are marked × in the map. Downloading the rest goes on; leave the tab open and it completes when someone brings them.`, [['announce', 'Ask more trackers']]],
  quota: ({ usage, quota, needed, share, free }) => ['act', 'No room left in this browser', `The browser gives this site ${bytes(quota ?? 0)} and ${bytes(usage ?? 0)} are used. Downloading is paused${share == null ? '' : ` at ${percent(share)}`}${needed ? `; ${bytes(needed)} more are needed` : ''}. Nothing is lost.`, [...(free ? [['free', `Free ${bytes(free.bytes)}: remove “${clean(free.name)}”`]] : []), ['list', 'Choose what to keep']]],
  'quota-soon': ({ room, wanted }) => ['know', 'Not enough room for all of it', `The browser gives this site ${bytes(room)} more and ${bytes(wanted)} are still to come. Downloading pauses when it is full; choose fewer files, or free some room.`, [['list', 'Choose what to keep']]],
  cap: ({ cap }) => ['act', 'Your limit for this month is reached', `This browser has sent and received ${bytes(cap)}. Everything is paused until next month, or until you raise the limit in the settings.`, []],
  'relay-gone': ({ host, retry }) => ['act', 'Relay is gone', `The connection to ${quoted(host)} ended${retry == null ? '' : `; trying again in ${Math.round(retry)}${NBSP}s`}. Peers in other tabs go on; native peers need the relay.`, [['reconnect', 'Try now'], ['another-relay', 'Use another relay']]],
  'relay-refused': () => ['act', 'The relay does not serve this torrent', 'Its operator allows listed torrents only. Other tabs can still have it.', [['open-without-relay', 'Open without relay'], ['another-relay', 'Use another relay']]],
  banned: ({ client }) => ['know', 'Bad data from a peer', `${client ? quoted(client) : 'A peer'} sent a piece that failed its check. It is banned for this torrent and the piece is fetched from another. Nothing to do.`, []],
  'file-gone': ({ name }) => ['act', 'File is gone', `${name ? quoted(name) : 'A file'} was moved or changed since you shared it, so its pieces no longer match. Choose it again to go on seeding.`, [['choose-files', 'Choose file']]],
};

/** `{code, level, title, text, actions: [[id, label]]}` of a notice. The engine's own words serve only codes unknown here. */
export function noticeWords(notice) {
  const phrase = PHRASES[notice.code];
  if (phrase && (notice.details || !notice.title)) {
    const [level, title, text, actions] = phrase(notice.details ?? {});
    return { code: notice.code, level, title, text, actions, details: notice.details };
  }
  return { code: notice.code, level: notice.level ?? 'know', title: clean(notice.title ?? notice.code), text: clean(notice.text), actions: (notice.actions ?? []).map(({ id, label }) => [id, clean(label)]) };
}

const binary = limit => (limit ? `${Math.round(limit / 2 ** 20)}${NBSP}MiB` : `256${NBSP}MiB`);
const times = n => (n === 1 ? 'once' : n === 2 ? 'twice' : `${count(n ?? 1)} times`);
