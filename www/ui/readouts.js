// The row of figures. Slots are fixed; an update changes only the digits that changed. Never live: it is there to read.
import { bytes, bytesOf, bytesParts, count, duration, el, NBSP, NONE, percentDigits, rateParts, ratio, setAttr, setText } from './kit.js';

/** `[label, digits, unit, caution]` for each of the six slots. */
function figures(s, give, elapsed) {
  const [down, downUnit] = rateParts(s.down), [up, upUnit] = rateParts(s.up ?? s.upRate);
  const peers = count(s.peers.length + (s.natives?.length ?? 0));
  const known = s.known > s.peers.length ? `of ${count(s.known)}` : '';
  if (give) {
    const [given, givenUnit] = s.uploaded > 0 ? bytesParts(s.uploaded) : [NONE, ''];
    const others = s.peers.length ? ratio(s.availability) : NONE;
    if (s.phase === 'hashing') return ['Given', 'Up', 'Peers', 'Ratio', 'Copies elsewhere', 'Time shared'].map(label => [label, NONE, '']);
    return [['Given', given, givenUnit], ['Up', up, upUnit], ['Peers', peers, known], ['Ratio', ratio(s.ratio ?? (s.length ? s.uploaded / s.length : null)), ''],
      ['Copies elsewhere', others, ''], ['Time shared', duration(elapsed / 1000), '']];
  }
  const stuck = s.phase === 'downloading' && s.peers.length > 0 && s.availability < 1;
  const left = s.phase === 'downloading' ? duration(s.eta) : NONE;
  return [['Time left', left, stuck && left === NONE ? 'waits' : ''], ['Down', down, downUnit], ['Up', up, upUnit], ['Peers', peers, known],
    ['Ratio', ratio(s.ratio), ''], ['Availability', s.peers.length ? ratio(s.availability) : NONE, '', stuck]];
}

/** The readouts of one torrent in a `dl`. */
export class Readouts {
  constructor(list) {
    const slot = kind => {
      const label = el('dt'), digits = el('span'), unit = el('small'), box = el('div', { class: kind });
      box.append(...(kind === 'big' ? [el('dd', {}, digits, unit), label] : [label, el('dd', {}, digits, NBSP, unit)]));
      list.append(box);
      return { box, label, digits, unit };
    };
    this.big = slot('big');
    setText(this.big.unit, NBSP + '%');
    this.slots = Array.from({ length: 6 }, () => slot('slot'));
  }

  update(s, give, elapsed) {
    const hashing = s.phase === 'hashing' || s.phase === 'checking';
    const have = hashing ? s.hashed * s.length : s.haveWanted ?? s.have, whole = hashing ? s.length : s.wanted ?? s.length;
    setText(this.big.digits, whole > 0 ? percentDigits(have / whole, have >= whole) : give ? '100' : '0.0');
    const words = s.phase === 'hashing' ? `hashed, ${bytesOf(have, whole)}` : s.phase === 'checking' ? `checked, ${bytesOf(have, whole)}` : give ? `${bytes(whole)}, all hashed` : bytesOf(have, whole);
    setText(this.big.label, words);
    figures(s, give, elapsed).forEach(([label, digits, unit, caution], index) => {
      const slot = this.slots[index];
      setText(slot.label, label);
      setText(slot.digits, digits);
      setText(slot.unit, unit);
      setAttr(slot.box, 'class', caution ? 'warn' : null);
    });
  }
}
