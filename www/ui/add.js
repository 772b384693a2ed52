// Ways in: the two fields, files chosen, dropped or pasted anywhere. A refusal is told at the field it came from.
import { byId, el, say, setText } from './kit.js';
import { errorWords } from './words.js';

const LINK = /^(magnet:|https?:\/\/\S+$|[0-9a-f]{40}$|[0-9a-f]{64}$|[a-z2-7]{32}$)/i;

/** Wires all of it. `opened(torrent)` is called for what was added; `settings()` shows where the relay is set. */
export class Add {
  constructor(client, { opened, settings }) {
    Object.assign(this, { client, opened, settings });
    this.fields = [this.field('open', 'open-field', 'open-error'), this.field('add-bar', 'add-bar-field', 'add-bar-error')];
    this.choosers();
    this.drops();
    document.addEventListener('paste', event => this.pasted(event));
    byId('demo-open').addEventListener('click', () => this.add(client.demo.id));
  }

  field(form, input, error) {
    const field = { input: byId(input), error: byId(error) };
    byId(form).addEventListener('submit', event => {
      event.preventDefault();
      const id = field.input.value.trim();
      if (id) this.add(id, field);
      else field.input.focus();
    });
    field.input.addEventListener('input', () => this.clear(field));
    return field;
  }

  /** The field that is visible now. */
  current() {
    return this.fields.find(({ input }) => input.offsetParent !== null && getComputedStyle(input).visibility === 'visible') ?? this.fields[0];
  }

  focus() {
    const { input } = this.current();
    input.focus();
    input.select();
  }

  /** Adds a link, an address, bytes or a file; errors go to `field`. */
  async add(id, field = this.current(), options = undefined) {
    this.clear(field);
    const late = setTimeout(() => say('The engine is still starting; the link is opened as soon as it is up.'), 1500);
    try {
      const torrent = await this.client.add(id, { ...(this.client.settings?.keep === false && { keep: false }), ...options });
      if (field.input.value.trim() === id) field.input.value = '';
      this.opened(torrent);
    } catch (error) {
      this.refuse(field, error, id);
    } finally {
      clearTimeout(late);
    }
  }

  async seed(files, field = this.current()) {
    if (files.length === 0) return;
    this.clear(field);
    try {
      this.opened(await this.client.seed(files));
    } catch (error) {
      this.refuse(field, error, null);
    }
  }

  clear({ input, error }) {
    input.removeAttribute('aria-invalid');
    error.replaceChildren();
  }

  refuse(field, error, id) {
    const { title, text, actions } = errorWords(error);
    if (typeof id === 'string') {
      field.input.value = id;
      field.input.setAttribute('aria-invalid', 'true');
    }
    const buttons = actions.flatMap(([name, label], index) => [index ? ' or ' : ' ', el('button', { type: 'button', class: 'linkish', click: () => this.act(name, id, field) }, label)]);
    field.error.replaceChildren(el('b', {}, title), ` ${text}`, ...buttons, ...(actions.length ? ['.'] : []));
  }

  act(name, id, field) {
    if (name === 'open-without-relay') this.add(id, field, { relay: 'off' });
    else this.settings('relay');
  }

  choosers() {
    const torrent = byId('pick-torrent'), files = byId('pick-files');
    byId('choose-torrent').addEventListener('click', () => torrent.click());
    for (const button of document.querySelectorAll('[data-do=share-files]')) button.addEventListener('click', () => files.click());
    torrent.addEventListener('change', () => {
      for (const file of torrent.files) this.add(file);
      torrent.value = '';
    });
    files.addEventListener('change', () => {
      this.seed([...files.files]);
      files.value = '';
    });
  }

  drops() {
    const sheet = byId('drop');
    let depth = 0;
    const leave = () => {
      depth = 0;
      sheet.hidden = true;
    };
    addEventListener('dragenter', event => {
      if (!carries(event.dataTransfer)) return;
      event.preventDefault();
      depth++;
      sheet.hidden = false;
      setText(sheet, promise(event.dataTransfer));
    });
    addEventListener('dragover', event => {
      if (carries(event.dataTransfer)) event.preventDefault();
    });
    addEventListener('dragleave', () => {
      if (depth > 0 && --depth === 0) leave();
    });
    addEventListener('drop', async event => {
      if (!carries(event.dataTransfer)) return;
      event.preventDefault();
      leave();
      await this.dropped(event.dataTransfer);
    });
  }

  async dropped(data) {
    const entries = [...data.items].map(item => item.kind === 'file' ? item.webkitGetAsEntry?.() : null).filter(Boolean);
    const files = entries.some(entry => entry.isDirectory) ? await walk(entries) : [...data.files];
    const torrents = files.filter(file => /\.torrent$/i.test(file.name) && !file.path), others = files.filter(file => !torrents.includes(file));
    for (const file of torrents) await this.add(file);
    if (others.length) await this.seed(others);
    const link = files.length ? '' : (data.getData('text/uri-list') || data.getData('text/plain')).trim().split('\n')[0];
    if (link) await this.add(link);
  }

  pasted(event) {
    if (event.target.closest?.('input, textarea, select, [contenteditable]') || document.querySelector('dialog[open]')) return;
    const files = [...event.clipboardData.files].filter(file => /\.torrent$/i.test(file.name));
    const text = event.clipboardData.getData('text/plain').trim();
    if (files.length) files.forEach(file => this.add(file));
    else if (LINK.test(text)) this.add(text);
  }
}

const carries = data => data.types.includes('Files') || data.types.includes('text/uri-list') || data.types.includes('text/plain');

/** What letting go will do; names are not known before, only kinds. */
function promise(data) {
  const items = [...data.items].filter(item => item.kind === 'file');
  const torrent = item => item.type === 'application/x-bittorrent';
  if (items.length === 0 || items.every(torrent)) return 'Drop to open';
  return items.every(item => item.type !== '' && !torrent(item)) ? 'Drop to share' : 'Drop to open or share';
}

/** Files of dropped folders, each with its `path` from the dropped folder on. */
async function walk(entries) {
  const out = [];
  for (const entry of entries) {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      const path = entry.fullPath.split('/').filter(Boolean);
      if (path.length > 1) Object.defineProperty(file, 'path', { value: path });
      out.push(file);
    } else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (some.length === 0) break;
        out.push(...await walk(some));
      }
    }
  }
  return out;
}
