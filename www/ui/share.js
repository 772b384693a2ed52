// "So far": the share of all bytes by source, with relay and server together against the aim. One bar and its key.
import { bytes, decimal, el, setAttr, setText, svg, watch } from './kit.js';

const SHARES = [['tabs', 'tabs'], ['native', 'native, by relay'], ['relay', 'relay cache'], ['server', 'server']];
const AIM = 8.8;

/** The bar in `box`; hidden until a byte came. */
export class ShareBar {
  constructor(box) {
    this.total = svg('svg', { class: 'total', viewBox: '0 0 1000 14', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    this.segments = SHARES.map(([token]) => {
      const plain = svg('rect', { height: 14, fill: `var(--${token})` });
      const marks = token === 'tabs' ? null : svg('rect', { height: 14, fill: `url(#p-${token})` });
      this.total.append(plain, ...(marks ? [marks] : []));
      return [plain, marks].filter(Boolean);
    });
    this.rows = SHARES.map(([token, words]) => {
      const share = el('b'), amount = el('span', { class: 'muted opt' });
      const sample = svg('svg', { viewBox: '0 0 14 10' }, svg('rect', { width: 14, height: 10, fill: token === 'tabs' ? 'none' : `url(#p-${token})` }));
      return { share, amount, node: el('li', {}, el('span', { class: 'swatch', style: `background:var(--${token})`, 'aria-hidden': 'true' }, sample), share, ` ${words} `, amount) };
    });
    this.aim = el('li', { class: 'muted opt' });
    box.append(el('span', { class: 'muted' }, 'So far'), this.total, el('ul', {}, ...this.rows.map(row => row.node), this.aim));
    this.box = box;
    watch(this.total, { resize: width => this.fit(width) });
  }

  /** Patterns keep their shape: the viewBox is as wide as the bar. */
  fit(width) {
    this.width = width;
    setAttr(this.total, 'viewBox', `0 0 ${width} 14`);
    if (this.sources) this.update(this.sources);
  }

  /** Shows bytes so far by source; `off` where nothing is fetched. */
  update(sources, off = this.off) {
    this.sources = sources;
    this.off = off;
    const all = SHARES.reduce((sum, [key]) => sum + sources[key], 0);
    this.box.hidden = all === 0 || !!off;
    let x = 0;
    SHARES.forEach(([key], index) => {
      const share = all ? sources[key] / all : 0, wide = share * (this.width ?? 1000);
      for (const rect of this.segments[index]) {
        setAttr(rect, 'x', x.toFixed(1));
        setAttr(rect, 'width', wide.toFixed(1));
      }
      x += wide;
      setText(this.rows[index].share, decimal(share));
      setText(this.rows[index].amount, sources[key] > 0 ? bytes(sources[key]) : '');
    });
    setText(this.aim, `relay and server ${decimal(all ? (sources.relay + sources.server) / all : 0)}, aim ${AIM} or less`);
  }
}
