// Sheets over the page: one question here, settings and keys when they are asked for (settings.js). Native dialogs: focus, Esc and backdrop
// are theirs.
import { button, byId, el } from './kit.js';

export const THEME = 'theme';

/** Shows settings, saved as they change; `focus` names the setting to start at. */
export async function showSettings(client, focus = null) {
  const { settings } = await import('./settings.js');
  settings(client, focus);
}

/** Shows the list of keys. */
export async function showKeys() {
  const { keys } = await import('./settings.js');
  keys();
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

