// The files of a torrent as a tree grid: select, name, size, done, priority, play, save. One tab stop: arrows move and
// open folders, X selects, P changes the priority, S saves, Enter plays or saves. Rows are pooled.
import { bdi, byId, bytes, clean, count, el, icon, isOff, isRtl, phrase, rebuild, setAttr, setHidden, setName, setOff, setText, wholePercent } from './kit.js';
import { buildTree, flatten, playable, search, selection, viewable } from './tree.js';
import { Rows } from './rows.js';

const PRIORITIES = [['high', 'High'], ['normal', 'Normal'], ['low', 'Low'], ['skip', 'Skip']];
const FILTER_FROM = 50;
const HEADS = [['', 'Download', 'c-check'], ['Name', '', ''], ['Size', '', 'c-size num'], ['Done', '', 'c-done done'], ['Priority', '', 'c-prio opt'], ['', 'Actions', 'c-acts']];

export class Files {
  /** `act` = {select(indices, priority), play(index), save(index), savable(file)}. */
  constructor(act) {
    this.act = act;
    this.closed = new Set();
    this.query = '';
    this.active = 0;
    const body = el('tbody', { role: 'rowgroup' });
    this.table = el('table', { class: 'files', role: 'treegrid', 'aria-labelledby': 'files-title', keydown: event => this.key(event), focusin: event => this.focused(event) },
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...HEADS.map(([text, hidden, kind]) => el('th', { class: kind, role: 'columnheader', scope: 'col' }, text, hidden ? el('span', { class: 'vh' }, hidden) : null)))), body);
    const scroller = byId('files-list');
    scroller.append(this.table);
    this.rows = new Rows({ scroller, body, columns: HEADS.length, make: () => this.make(), fill: (row, item, index) => this.fill(row, item, index) });
    this.sum = byId('files-sum');
    this.filter = byId('files-filter');
    byId('files-find').addEventListener('input', event => {
      this.query = event.target.value.trim();
      this.active = 0;
      this.flatten();
    });
  }

  /** Shows the files of a snapshot. */
  update(s) {
    this.files = s.files;
    if (this.infoHash !== s.infoHash || this.known !== s.files.length) {
      this.infoHash = s.infoHash;
      this.known = s.files.length;
      this.closed.clear();
      this.active = 0;
      this.tree = buildTree(s.files);
      setHidden(this.filter, s.files.length < FILTER_FROM);
    }
    const shown = s.files.filter(file => !file.pad), selected = shown.filter(file => file.priority !== 'skip').length;
    setText(this.sum, selected === shown.length ? count(shown.length) : phrase(`${count(shown.length)}, ${count(selected)} selected`));
    if (this.flatFor !== this.infoHash) this.flatten();
    else this.rows.paint();
  }

  flatten() {
    this.flatFor = this.infoHash;
    this.flat = this.query ? search(this.files, this.query) : flatten(this.tree, this.closed);
    setAttr(this.table, 'aria-rowcount', this.flat.length + 1);
    this.active = Math.min(this.active, Math.max(0, this.flat.length - 1));
    this.rows.show(this.flat);
  }

  make() {
    const row = {};
    const item = () => this.flat[row.index];
    row.check = el('input', { type: 'checkbox', tabindex: '-1', change: () => this.toggle(item()) });
    row.turn = el('button', { type: 'button', class: 'turn', tabindex: '-1', 'aria-hidden': 'true', click: () => this.open(item()) }, icon('turn'));
    row.name = bdi();
    row.indent = el('span', {}, row.turn, row.name);
    row.size = el('td', { class: 'num size', role: 'gridcell' });
    row.fillBar = el('i');
    row.bar = el('span', { class: 'bar', 'aria-hidden': 'true' }, row.fillBar);
    row.done = el('output');
    row.priority = el('select', { class: 'prio', tabindex: '-1', change: () => this.setPriority(item(), row.priority.value) }, ...PRIORITIES.map(([value, text]) => el('option', { value }, text)));
    row.play = el('button', { type: 'button', class: 'ico', tabindex: '-1', click: () => this.act.play(item().node.file) });
    row.save = el('button', { type: 'button', class: 'ico', tabindex: '-1', click: () => isOff(row.save) || this.act.save(item().node.file) }, icon('save'));
    const cell = (kind, ...children) => el('td', { class: kind, role: 'gridcell' }, ...children);
    row.node = el('tr', { role: 'row', tabindex: '-1' }, cell('check', row.check), cell('trunc', row.indent), row.size, cell('done', row.bar, row.done), cell('opt', row.priority), cell('num acts', row.play, row.save));
    return row;
  }

  fill(row, item, index) {
    const { node, level } = item;
    setAttr(row.node, 'aria-level', level);
    setAttr(row.node, 'aria-posinset', item.position);
    setAttr(row.node, 'aria-setsize', item.siblings);
    setAttr(row.node, 'aria-rowindex', index + 2);
    setAttr(row.node, 'tabindex', index === this.active ? '0' : '-1');
    for (const control of [row.check, row.priority, row.play, row.save]) setAttr(control, 'tabindex', index === this.active ? '0' : '-1');
    const folder = !!node.children;
    setName(row.name, folder ? `${node.name}/` : node.name);
    const indent = `${(level - 1) * 16 + (folder || level > 1 || !this.tree.folders.size ? 0 : 4)}px`;
    if (row.indent.style.paddingInlineStart !== indent) row.indent.style.paddingInlineStart = indent;
    for (const part of [row.bar, row.priority, row.save]) setHidden(part, folder);
    setHidden(row.turn, !folder);
    if (folder) this.fillFolder(row, node);
    else this.fillFile(row, node);
  }

  fillFolder(row, node) {
    setAttr(row.node, 'class', 'folder');
    setAttr(row.node, 'aria-expanded', String(!this.closed.has(node.key)));
    const selected = selection(node, this.files);
    row.check.checked = selected !== 'none';
    row.check.indeterminate = selected === 'some';
    setAttr(row.check, 'aria-label', `Download folder ${clean(node.name)}`);
    setText(row.size, '');
    setText(row.done, '');
    setHidden(row.play, true);
  }

  fillFile(row, node) {
    const file = this.files[node.file];
    const skip = file.priority === 'skip', name = clean(node.name);
    setAttr(row.node, 'class', skip ? 'skipped' : null);
    setAttr(row.node, 'aria-expanded', null);
    row.check.checked = !skip;
    row.check.indeterminate = false;
    setAttr(row.check, 'aria-label', `Download ${name}`);
    setText(row.size, bytes(file.length));
    setAttr(row.bar, 'class', skip && !file.done ? 'bar off' : 'bar');
    const share = file.length ? Math.min(1, file.done / file.length) : 1, wide = `${(share * 100).toFixed(1)}%`;
    if (row.fillBar.style.width !== wide) row.fillBar.style.width = wide;
    setText(row.done, skip && !file.done ? '–' : wholePercent(share));
    setAttr(row.priority, 'aria-label', `Priority of ${name}`);
    if (row.priority.value !== file.priority && document.activeElement !== row.priority) row.priority.value = file.priority;
    setHidden(row.play, !(playable(name) || viewable(name)) || skip);
    const way = playable(name) ? 'play' : 'open';
    rebuild(row.play, way, () => [icon(way)]);
    setAttr(row.play, 'aria-label', `${way === 'play' ? 'Play' : 'Open'} ${name}`);
    setAttr(row.save, 'aria-label', `Save ${name}`);
    setOff(row.save, this.act.savable(file) ? null : 'Can be saved when it is complete');
  }

  toggle({ node }) {
    if (node.children) this.act.select(node.files, selection(node, this.files) === 'all' ? 'skip' : 'normal');
    else this.act.select([node.file], this.files[node.file].priority === 'skip' ? 'normal' : 'skip');
  }

  setPriority({ node }, priority) {
    this.act.select([node.file], priority);
  }

  open({ node }, wanted = this.closed.has(node.key)) {
    if (wanted) this.closed.delete(node.key);
    else this.closed.add(node.key);
    this.flatten();
  }

  focused(event) {
    const row = this.rows.pool.find(candidate => candidate.node.contains(event.target));
    if (row && row.index !== this.active) this.activate(row.index, false);
  }

  activate(index, move = true) {
    if (index < 0 || index >= this.flat.length) return;
    this.active = index;
    const row = this.rows.reveal(index);
    this.rows.paint();
    if (move) row?.node.focus();
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === 'SELECT') return;
    const item = this.flat[this.active];
    if (!item) return;
    const [open, close] = isRtl() ? ['ArrowLeft', 'ArrowRight'] : ['ArrowRight', 'ArrowLeft'];
    const folder = !!item.node.children, closed = folder && this.closed.has(item.node.key);
    const onRow = event.target.getAttribute('role') === 'row';
    const page = Math.max(1, Math.floor(this.rows.scroller.clientHeight / this.rows.height) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.flat.length, End: this.flat.length };
    if (event.key in moves) this.activate(Math.min(this.flat.length - 1, Math.max(0, this.active + moves[event.key])));
    else if (event.key === open && folder) closed ? this.open(item, true) : this.activate(this.active + 1);
    else if (event.key === close) folder && !closed ? this.open(item, false) : this.activate(item.parent);
    else if (event.key.toLowerCase() === 'x') this.toggle(item);
    else if (event.key.toLowerCase() === 'p' && !folder) this.nextPriority(item);
    else if (event.key.toLowerCase() === 's' && !folder) this.trySave(item);
    else if (event.key === 'Enter' && onRow) folder ? this.open(item) : playable(item.node.name) || viewable(item.node.name) ? this.act.play(item.node.file) : this.trySave(item);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  nextPriority(item) {
    const now = PRIORITIES.findIndex(([value]) => value === this.files[item.node.file].priority);
    this.setPriority(item, PRIORITIES[(now + 1) % PRIORITIES.length][0]);
  }

  trySave({ node }) {
    if (this.act.savable(this.files[node.file])) this.act.save(node.file);
  }
}

/** The button that every title has for its most important file. */
export function firstPlayable(files) {
  return files.find(file => !file.pad && file.priority !== 'skip' && playable(file.path[file.path.length - 1])) ?? null;
}

