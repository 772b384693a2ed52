// Small helpers over the DOM. Data from torrents and peers only ever becomes text nodes; there is no way from here to
// parse a string as HTML. Writes are skipped where nothing changed, so that a quiet page costs no layout.

import { clean } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';

export const byId = id => document.getElementById(id);

/** Makes an element: `el('td', {class: 'num'}, 'text', child)`. A function as value is an event listener. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child != null));
  return node;
}

/** A name that came from outside: isolated from the text direction around it. */
export function bdi(text = '') {
  return el('bdi', {}, clean(text));
}

/** One of the icons in index.html. */
export function icon(name) {
  return svg('svg', { 'aria-hidden': 'true' }, svg('use', { href: `#i-${name}` }));
}

/** Sets the text of a node that holds nothing else, only if it changed. */
export function setText(node, text) {
  const only = node.firstChild;
  if (only && only === node.lastChild && only.nodeType === Node.TEXT_NODE) {
    if (only.data !== text) only.data = text;
  } else if (only || text !== '') {
    node.textContent = text;
  }
}

/** Sets a name that came from outside, without the characters that make one look like another. */
export function setName(node, name) {
  setText(node, clean(name));
}

/** Sets or (for null and false) removes an attribute, only if it changed. */
export function setAttr(node, name, value) {
  if (value == null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const text = value === true ? '' : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** Rebuilds a node's children only when `key` differs from the last time. */
export function rebuild(node, key, build) {
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  node.replaceChildren(...build());
}

export const isRtl = () => document.documentElement.dir === 'rtl';

/** Says a line to screen readers, politely. */
export function say(text) {
  setText(byId('said'), text);
}

/** A button with a label, or an icon only with an accessible name. */
export function button(label, onclick, { kind = 'btn', icon: name = null, bare = false } = {}) {
  const node = el('button', { type: 'button', class: kind, click: onclick, 'aria-label': bare ? label : null, title: bare ? label : null });
  if (name) node.append(icon(name));
  if (!bare) node.append(el('span', {}, label));
  return node;
}

/** Off, but still reachable and explained: `aria-disabled` with the reason as title. */
export function setOff(node, reason) {
  setAttr(node, 'aria-disabled', reason ? 'true' : null);
  setAttr(node, 'title', reason || node.getAttribute('aria-label'));
}

export const isOff = node => node.getAttribute('aria-disabled') === 'true';

/**
 * Calls `change(width)` when the element's width changes while shown, and tells whether it is on screen:
 * nothing is drawn that nobody sees.
 */
export function watch(node, { resize, appear }) {
  const state = { visible: false, width: 0 };
  new ResizeObserver(() => {
    const width = node.clientWidth;
    if (width && width !== state.width) {
      state.width = width;
      resize?.(width);
    }
  }).observe(node);
  new IntersectionObserver(entries => {
    const visible = entries[entries.length - 1].isIntersecting;
    if (visible && !state.visible) {
      state.visible = true;
      appear?.();
    }
    state.visible = visible;
  }, { rootMargin: '120px' }).observe(node);
  return state;
}
