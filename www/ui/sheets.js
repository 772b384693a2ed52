// Sheets over the page: settings, the list of keys, one question. Native dialogs: focus, Esc and backdrop are theirs.
import { byId, button, el } from './dom.js';
import { bytesOf } from './format.js';
import { coloursChanged } from './colours.js';

const KEYS = [['/', 'To the field'], ['Enter', 'Open'], ['Space', 'Pause or go on; with the player open, play'], ['J L', '10 s back or ahead in the player'], [', .', 'Piece by piece in the player'], ['↑ ↓', 'In map, files and list'],
  ['→ ←', 'Open and close a folder; in the map along the torrent'], ['X', 'Select a file or not'], ['P', 'Change a file’s priority'], ['S', 'Save the file, or all of them'], ['C', 'Copy the link'], ['Esc', 'Back'], ['?', 'This list']];
const THEME = 'theme';

/** Shows the list of keys. */
export function showKeys() {
  const sheet = byId('keys');
  if (!sheet.firstChild) {
    sheet.classList.add('small');
    sheet.append(el('h1', { id: 'keys-title' }, 'Keys'), el('dl', { class: 'keys' }, ...KEYS.flatMap(([key, text]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, text)])),
      el('div', { class: 'acts' }, button('Close', () => sheet.close())));
  }
  sheet.showModal();
}

/** Asks; resolves to the id of the chosen answer or null. `answers` = [[id, label]], the first is the one to do. */
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

/** Bytes a second from what people write: `1 MB/s`, `500k`, empty = none (null). Undefined if it is not understood. */
export function parseRate(text) {
  const match = /^\s*([\d.,]+)\s*([kmg]?)i?b?(\/s)?\s*$/i.exec(text);
  if (text.trim() === '') return null;
  if (!match) return undefined;
  const value = Number(match[1].replace(',', '.')) * { '': 1, k: 1e3, m: 1e6, g: 1e9 }[match[2].toLowerCase()];
  return Number.isFinite(value) && value > 0 ? Math.round(value) : undefined;
}

const rateText = value => value == null ? '' : value >= 1e6 ? `${value / 1e6} MB/s` : `${value / 1e3} kB/s`;

/** Shows settings, saved as they change; `focus` names the setting to start at. */
export function showSettings(client, focus = null) {
  const sheet = byId('settings');
  const settings = client.settings ?? {};
  const row = (name, text, control) => el('div', { class: 'set' }, el('div', {}, name), el('p', {}, text), el('div', { class: 'ctl' }, control));
  const rows = [
    row('Download limit', 'All torrents together. Empty: no limit.', rateField(client, 'down', 'Download limit', settings.down)),
    row('Upload limit', 'All torrents together. Peers send more to those who share. Empty: no limit.', rateField(client, 'up', 'Upload limit', settings.up)),
    row('Relay', 'Joins this tab to native swarms. It sees which torrents you open; it cannot change their contents. Write off for other tabs only. Taken when the page is opened again.', relayField(client, settings)),
    row('Theme', 'Saved in this browser.', themeSelect()),
  ];
  if (client.quota?.quota) rows.unshift(row('Space used', `${bytesOf(client.quota.usage, client.quota.quota)} that the browser grants.`, quotaBar(client.quota)));
  sheet.replaceChildren(el('h1', { id: 'settings-title' }, 'Settings'), ...rows, el('div', { class: 'acts' }, button('Close', () => sheet.close(), { kind: 'btn go' })));
  sheet.showModal();
  if (focus) sheet.querySelector(`[data-setting=${focus}]`)?.focus();
}

function rateField(client, key, label, value) {
  const input = el('input', { class: 'field', 'aria-label': label, value: rateText(value), placeholder: 'no limit', 'data-setting': key });
  input.addEventListener('change', () => {
    const parsed = parseRate(input.value);
    input.setAttribute('aria-invalid', String(parsed === undefined));
    if (parsed !== undefined) client.configure({ [key]: parsed });
  });
  return input;
}

function relayField(client, settings) {
  const input = el('input', { class: 'field', 'aria-label': 'Relay', value: settings.relay ?? (client.relay?.state === 'off' ? 'off' : client.relay?.url ?? ''), 'data-setting': 'relay', spellcheck: 'false', dir: 'ltr' });
  input.addEventListener('change', () => client.configure({ relay: input.value.trim() || null }));
  return input;
}

function quotaBar({ usage, quota }) {
  const share = Math.min(1, usage / quota);
  return el('span', { class: 'quota', role: 'img', 'aria-label': `${Math.round(share * 100)} % used` }, el('i', { style: `width:${(share * 100).toFixed(1)}%` }));
}

function themeSelect() {
  const select = el('select', { class: 'field', 'aria-label': 'Theme' }, el('option', { value: '' }, 'As the system'), el('option', { value: 'light' }, 'Light'), el('option', { value: 'dark' }, 'Dark'));
  select.value = document.documentElement.dataset.theme ?? '';
  select.addEventListener('change', () => {
    remember(select.value);
    applyTheme();
    coloursChanged();
  });
  return select;
}

function remember(theme) {
  try {
    if (theme) localStorage.setItem(THEME, theme);
    else localStorage.removeItem(THEME);
  } catch {
    document.documentElement.dataset.theme = theme;
  }
}

/** Puts the remembered theme on the document. */
export function applyTheme() {
  let theme = '';
  try {
    theme = localStorage.getItem(THEME) ?? '';
  } catch {
    return;
  }
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

