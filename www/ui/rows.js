// Rows of a table body from a pool. Up to 100 all are there; beyond, only those within a screen above and below the
// visible part, between two spacers. `fill` is called at every update and must write only what changed; scrolling fills only rows that are
// taken from one end to the other.
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
    this.scroller.addEventListener('scroll', () => this.items.length > ALL && requestAnimationFrame(() => this.paint(true)), { passive: true });
  }

  /** Shows these items. */
  show(items) {
    this.items = items;
    this.virtual = items.length > ALL;
    this.scroller.classList.toggle('tall', this.virtual);
    setAttr(this.scroller, 'tabindex', null);
    this.paint();
  }

  paint(scrolled = false) {
    const [first, last] = this.range();
    const stays = ({ index }) => index >= first && index < last;
    const free = this.pool.filter(row => !stays(row));
    // Out of the way, so that those that stay are never moved: what is moved loses the focus.
    for (const { node } of free) node.remove();
    const kept = new Map(this.pool.filter(stays).map(row => [row.index, row]));
    this.first = first;
    this.pool = Array.from({ length: last - first }, (_, offset) => {
      const index = first + offset, row = kept.get(index) ?? free.pop() ?? this.make();
      row.index = index;
      if (!scrolled || !kept.has(index)) this.fill(row, this.items[index], index);
      return row;
    });
    this.pool.reduceRight((next, { node }) => {
      if (node.nextSibling !== next) this.body.insertBefore(node, next);
      return node;
    }, this.after);
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
