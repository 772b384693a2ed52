// The settings: a sheet of labels, what each brings about, and controls, kept in this browser as they change; the list of keys; and
// a question. Sheets are native dialogs: focus, Esc and backdrop are theirs. Loaded with the first of them.
import { button, byId, bytesOf, bytesParts, coloursChanged, el, percent } from './kit.js';
import { THEME, applyTheme } from './sheets.js';

const KEYS = [['/', 'To the field'], ['Enter', 'Open'], ['Space', 'Pause or go on; with the player open, play'], ['J L', '10 s back or ahead in the player'], [', .', 'Piece by piece in the player'], ['↑ ↓', 'In map, files and list'],
  ['→ ←', 'Open and close a folder; in the map along the torrent'], ['X', 'Select a file or not'], ['P', 'Change a file’s priority'], ['S', 'Save the file, or all of them'], ['C', 'Copy the link'], ['Esc', 'Back'], ['?', 'This list']];
/** How full this browser may get before it is said in the colour of caution. */
const NEARLY_FULL = 0.9;

/** Bytes, or bytes a second, from what people write: `1 MB/s`, `500k`, `10 GB a month`, empty = none (null). Undefined if not understood. */
export function parseBytes(text) {
  const match = /^\s*([\d.,]+)\s*([kmgt]?)i?b?(\/s| a month)?\s*$/i.exec(text);
  if (text.trim() === '') return null;
  if (!match) return undefined;
  const value = Number(match[1].replace(',', '.')) * { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 }[match[2].toLowerCase()];
  return Number.isFinite(value) && value > 0 ? Math.round(value) : undefined;
}

/** Addresses that begin as `scheme` says, parted by blanks or commas; none = null, undefined if one is something else. */
export function parseAddresses(text, scheme) {
  const list = text.split(/[\s,]+/).filter(Boolean);
  if (list.length === 0) return null;
  return list.every(address => scheme.test(address)) ? list : undefined;
}

function unit(value, after) {
  if (value == null) return '';
  const [digits, name] = bytesParts(value);
  return `${Number(digits)} ${name}${after}`;
}

/** Shows them; `focus` names the one to start at. */
export function settings(client, focus) {
  const sheet = byId('settings'), form = new Form(client);
  const parts = [['Storage', form.storage()], ['Sharing', form.sharing()], ['Connections', form.connections()], ['Appearance', [['Theme', '', theme()]]]];
  const section = ([title, rows]) => rows.length > 0 && el('section', {}, el('h2', {}, title), ...rows.map(row));
  sheet.replaceChildren(el('h1', { id: 'settings-title' }, 'Settings'), el('p', { class: 'muted' }, 'Saved in this browser as you change them'), ...parts.map(section).filter(Boolean),
    el('div', { class: 'acts' }, button('Close', () => sheet.close(), { kind: 'btn go' })));
  sheet.showModal();
  if (focus) sheet.querySelector(`[data-setting=${focus}]`)?.focus();
}

function row([name, text, control]) {
  const id = `set-${name.toLowerCase().replace(/ /g, '-')}`;
  control.setAttribute('aria-label', name);
  control.setAttribute('aria-describedby', id);
  return el('div', { class: 'set' }, el('div', {}, name), el('p', { id }, text), el('div', { class: 'ctl' }, control));
}

class Form {
  constructor(client) {
    this.client = client;
    this.now = client.settings ?? {};
    /** Whether this client can play without keeping, and counts what it moves. */
    this.keeps = 'capped' in client;
  }

  storage() {
    const { quota } = this.client, rows = [];
    if (this.keeps) rows.push(['Keep downloads', 'Files stay in this browser until you remove them. Off: what you add from then on is only played, from a cache that forgets.', this.check('keep', this.now.keep !== false)]);
    if (quota?.quota) rows.push(['Space used', `${bytesOf(quota.usage, quota.quota)} that the browser grants. It warns here from ${percent(NEARLY_FULL).replace('.0', '')}.`, used(quota)]);
    return rows;
  }

  sharing() {
    const { now } = this;
    const limits = [
      ['Upload limit', 'All torrents together. Peers send more to those who share. Empty: no limit.', this.amount('up', '/s', 'no limit')],
      ['Download limit', 'All torrents together. Empty: no limit.', this.amount('down', '/s', 'no limit')],
    ];
    if (!this.keeps) return limits;
    return [
      ['Upload to others', 'Peers send more to those who share. Where the browser is to save data this starts off.', this.check('share', now.share ?? !navigator.connection?.saveData)],
      ...limits,
      ['Data cap', 'Everything is paused for the month when so much was sent and received. Empty: no cap.', this.amount('cap', ' a month', 'no cap')],
    ];
  }

  connections() {
    const { client, now } = this, off = now.relay === 'off';
    const relay = this.field('relay', off ? '' : now.relay ?? client.relay?.url ?? '', text => text.trim() || null, 'this page’s own');
    const use = el('input', { type: 'checkbox', change: () => client.configure({ relay: use.checked ? relay.value.trim() || null : 'off' }) });
    use.checked = !off;
    return [
      ['Relay', 'Joins this tab to native swarms. It sees which torrents you open; it cannot change their contents. Taken when the page is opened again.', relay],
      ['Use the relay', 'Off: other tabs only. Taken when the page is opened again.', use],
      ['Extra trackers', 'Added to every public torrent opened from then on, never to one known to be private. Addresses with wss:, parted by blanks.', this.addresses('trackers', /^wss?:\/\/[^/]/i, 'wss://…')],
      ['ICE servers', 'Help tabs find a path to each other. Your addresses are known to them. Empty: the usual one. Taken when the page is opened again.', this.addresses('ice', /^stuns?:./i, 'stun:…')],
    ];
  }

  check(key, on) {
    const box = el('input', { type: 'checkbox', 'data-setting': key, change: () => this.client.configure({ [key]: box.checked }) });
    box.checked = on;
    return box;
  }

  /** A field whose text `parse` turns into the value; what it does not understand (undefined) is marked and not taken. */
  field(key, value, parse, placeholder) {
    const input = el('input', { class: 'field', value, placeholder, 'data-setting': key, spellcheck: 'false', autocomplete: 'off', dir: 'ltr' });
    input.addEventListener('change', () => {
      const parsed = parse(input.value);
      input.setAttribute('aria-invalid', String(parsed === undefined));
      if (parsed !== undefined) this.client.configure({ [key]: parsed });
    });
    return input;
  }

  amount(key, after, placeholder) {
    return this.field(key, unit(this.now[key], after), parseBytes, placeholder);
  }

  addresses(key, scheme, placeholder) {
    return this.field(key, (this.now[key] ?? []).join(' '), text => parseAddresses(text, scheme), placeholder);
  }
}

function used({ usage, quota }) {
  const share = Math.min(1, usage / quota);
  const bar = el('span', { class: share < NEARLY_FULL ? 'quota' : 'quota warn', role: 'meter', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(share * 100) });
  bar.append(el('i', { style: `width:${(share * 100).toFixed(1)}%` }));
  return bar;
}

function theme() {
  const select = el('select', { class: 'field' }, el('option', { value: '' }, 'As the system'), el('option', { value: 'light' }, 'Light'), el('option', { value: 'dark' }, 'Dark'));
  select.value = document.documentElement.dataset.theme ?? '';
  select.addEventListener('change', () => {
    remember(select.value);
    applyTheme();
    coloursChanged();
  });
  return select;
}

function remember(name) {
  try {
    if (name) localStorage.setItem(THEME, name);
    else localStorage.removeItem(THEME);
  } catch {
    document.documentElement.dataset.theme = name;
  }
}

/** Shows the list of keys. */
export function keys() {
  const sheet = byId('keys');
  if (!sheet.firstChild) {
    sheet.classList.add('small');
    sheet.append(el('h1', { id: 'keys-title' }, 'Keys'), el('dl', { class: 'keys' }, ...KEYS.flatMap(([key, text]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, text)])),
      el('div', { class: 'acts' }, button('Close', () => sheet.close())));
  }
  sheet.showModal();
}

/** Asks; resolves to the id of the chosen answer or null. `answers` = [[id, label]], the last is the one to do. */
export function ask(title, text, answers) {
  const sheet = byId('confirm');
  sheet.classList.add('small');
  return new Promise(resolve => {
    sheet.returnValue = '';
    sheet.replaceChildren(el('h1', { id: 'confirm-title' }, el('bdi', {}, title)), el('p', {}, text),
      el('div', { class: 'acts' }, button('Cancel', () => sheet.close()), ...answers.map(([id, label], index) => button(label, () => sheet.close(id), { kind: index === answers.length - 1 ? 'btn go' : 'btn' }))));
    sheet.addEventListener('close', () => resolve(sheet.returnValue || null), { once: true });
    sheet.showModal();
  });
}
