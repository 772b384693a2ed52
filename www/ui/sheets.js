// Sheets over the page: settings, keys, a question. What is in them is loaded when they are opened (settings.js); the theme counts from the
// first moment on.

export const THEME = 'theme';

const sheets = () => import('./settings.js');

/** Shows settings, saved as they change; `focus` names the setting to start at. */
export const showSettings = async (client, focus = null) => (await sheets()).settings(client, focus);

/** Shows the list of keys. */
export const showKeys = async () => (await sheets()).keys();

/** Asks; resolves to the id of the chosen answer or null. `answers` = [[id, label]], the last is the one to do. */
export const ask = async (...question) => (await sheets()).ask(...question);

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

