// Rows of a table body from a pool. Up to 100 all are there; beyond, only those within a screen above and below the
// visible part, between two spacers. `fill` is called at every update and must write only what changed.
import { el, setAttr } from './kit.js';

const ALL = 100;

export class Rows {
  /** `scroller` > table > `body`; `make()` returns `{node, …}`, `fill(row, item, index)` shows an item in it. */
  constructor({ scroller, body, columns, make, fill }) {
    Object.assign(this, { scroller, body, make, fill });
    const spacer = () => el('tr', { class: 'pad', 'aria-hidden': 'true', role: 'presentation' }, el('td', { class: 'pad', colspan: columns }));
    this.before = spacer();
    this.after = spacer();
    body.append(this.before, this.after);
    this.pool = [];
    this.items = [];
    this.first = 0;
    this.height = 30;
    this.scroller.addEventListener('scroll', () => this.items.length > ALL && requestAnimationFrame(() => this.paint()), { passive: true });
  }

  /** Shows these items. */
  show(items) {
    this.items = items;
    this.virtual = items.length > ALL;
    this.scroller.classList.toggle('tall', this.virtual);
    setAttr(this.scroller, 'tabindex', null);
    this.paint();
  }

  paint() {
    const [first, last] = this.range();
    this.first = first;
    while (this.pool.length < last - first) this.grow();
    while (this.pool.length > last - first) this.pool.pop().node.remove();
    this.pool.forEach((row, offset) => {
      row.index = first + offset;
      this.fill(row, this.items[row.index], row.index);
    });
    this.space(this.before, first);
    this.space(this.after, this.items.length - last);
    if (this.virtual && this.pool.length) this.height = this.pool[0].node.offsetHeight || this.height;
  }

  range() {
    if (!this.virtual) return [0, this.items.length];
    const view = this.scroller.clientHeight || 332;
    const first = Math.max(0, Math.floor((this.scroller.scrollTop - view) / this.height));
    return [Math.min(first, Math.max(0, this.items.length - 1)), Math.min(this.items.length, Math.ceil((this.scroller.scrollTop + 2 * view) / this.height))];
  }

  grow() {
    const row = this.make();
    this.pool.push(row);
    this.body.insertBefore(row.node, this.after);
  }

  space(spacer, rows) {
    spacer.hidden = rows === 0;
    const height = `${rows * this.height}px`;
    if (spacer.firstChild.style.height !== height) spacer.firstChild.style.height = height;
  }

  /** The pooled row of an item, or null while it is scrolled away. */
  rowOf(index) {
    return this.pool[index - this.first] ?? null;
  }

  /** Brings an item into view and returns its row. */
  reveal(index) {
    if (this.virtual) {
      const top = index * this.height, bottom = top + this.height, head = this.body.offsetTop;
      if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
      else if (bottom + head > this.scroller.scrollTop + this.scroller.clientHeight) this.scroller.scrollTop = bottom + head - this.scroller.clientHeight;
      this.paint();
    }
    return this.rowOf(index);
  }
}
