// Coastlines of the strip: an island (the tabs), the mainland (the native swarm) and, only while the relay is
// connected, the bar of sand that joins them. A superellipse and a few Bézier curves give the shape, a fixed wave along the way makes
// them shores. Pure: the same place gives the same coast, so nothing moves from one drawing to the next.

/** Where things are in a strip of `width` x `height`: one place for all numbers, so that land and lines agree. */
export function places(width, height) {
  const small = width < 600, medium = !small && width < 860, tall = height > 240;
  const tab = small ? width * 0.33 : Math.max(medium ? 250 : 310, width * 0.335);
  const shore = tab + (small ? 22 : medium ? 40 : 74);
  const coast = width * (small ? 0.69 : medium ? 0.66 : 0.68);
  return {
    width, height, small, medium, tall, tab, shore, coast,
    relay: (shore + coast) / 2,
    middle: Math.round(height * (tall ? 0.5 : 0.55)),
    islandMiddle: tall ? Math.round(height * 0.5) + 4 : height / 2,
    islandStart: small ? 8 : tall ? 30 : 20,
    islandHalf: Math.min(tall ? 140 : Infinity, height / 2 - 8),
    barHalf: small ? 11 : 15,
  };
}

/** Outlines as path data: one when joined, else two. Left is the island; the caller mirrors for right-to-left. */
export function outlines(at, joined) {
  return joined ? [path([...half(at, -1, true), ...corners(at), ...half(at, 1, true).reverse()])] : [path([...half(at, -1, false), ...half(at, 1, false).reverse()]), path(mainland(at))];
}

/** Points of the upper (-1) or lower (1) shore, from the island's tip on: the island is a superellipse. */
function half(at, side, joined) {
  const { islandStart, shore, islandMiddle, islandHalf, barHalf, coast, middle, tall } = at;
  const radius = (shore - islandStart) / 2, power = tall ? 2.5 : 4.2;
  const point = angle => [islandStart + radius * (1 - Math.sign(Math.cos(angle)) * Math.abs(Math.cos(angle)) ** (2 / power)), islandMiddle + side * islandHalf * Math.sin(angle) ** (2 / power)];
  const last = joined ? Math.PI - Math.acos((tall ? 0.5 : 0.62) ** (power / 2)) : Math.PI;
  const points = [];
  for (let step = 0; step <= 48; step++) points.push(point(last * step / 48));
  if (!joined) return wavy(points, side, at, islandStart, shore);
  const bar = middle + side * barHalf, [x, y] = points.pop(), [px, py] = points[points.length - 1];
  const slope = (y - py) / (x - px || 1), reach = (shore - x) * 0.5, soft = softness(at);
  points.push(
    ...bezier([x, y], [x + reach, y + reach * slope], [shore - soft * 0.7, bar], [shore + soft, bar]),
    ...bezier([shore + soft, bar], [shore + soft + 9, bar], [coast - soft - 9, bar], [coast - soft, bar]),
    ...climb(at, side, bar),
  );
  return wavy(points, side, at, islandStart, Infinity);
}

/** From the bar up (or down) the mainland's coast and out of the picture. */
function climb(at, side, bar) {
  const { coast, height, tall } = at;
  const end = side < 0 ? -40 : height + 40;
  const reach = tall ? 50 : 22;
  return bezier([coast - softness(at), bar], [coast + reach * 0.5, bar], [coast + reach * 0.5, bar + (end - bar) * 0.4], [coast + reach, end]);
}

/** The mainland alone: its coast from above the picture to below it, bulging where the bar would join. */
function mainland(at) {
  const { coast, height, middle, tall } = at;
  const reach = tall ? 50 : 22;
  const points = [
    ...bezier([coast + reach, -40], [coast + reach * 0.5, middle * 0.5], [coast - 2, middle * 0.8], [coast - 2, middle]),
    ...bezier([coast - 2, middle], [coast - 2, middle + (height - middle) * 0.3], [coast + reach * 0.5, middle + (height - middle) * 0.6], [coast + reach, height + 40]),
  ];
  return [...wavy(points, 1, at, -Infinity, Infinity), ...corners(at).reverse()];
}

/** Beyond the picture's end side, from top to bottom; twice each, so that `path` leaves them sharp. */
function corners({ width, height }) {
  const top = [width + 40, -40], bottom = [width + 40, height + 40];
  return [top, top, bottom, bottom];
}

/** How far from a bend the bar begins to leave the straight. */
const softness = ({ tall, small }) => (tall && !small ? 40 : small ? 14 : 24);

function bezier(a, b, c, d) {
  const points = [];
  const steps = Math.max(6, Math.round(Math.hypot(d[0] - a[0], d[1] - a[1]) / 12));
  for (let step = 0; step < steps; step++) {
    const t = step / steps, u = 1 - t;
    const mix = k => u * u * u * a[k] + 3 * u * u * t * b[k] + 3 * u * t * t * c[k] + t * t * t * d[k];
    points.push([mix(0), mix(1)]);
  }
  points.push(d);
  return points;
}

/** Pushes points in and out along the normal, by sums of sines of the way gone; quiet at the tips so that halves meet. */
function wavy(points, side, at, from, to) {
  let way = 0;
  const calm = at.small ? 0.6 : 1;
  return points.map(([x, y], index) => {
    const [px, py] = points[Math.max(0, index - 1)], [nx, ny] = points[Math.min(points.length - 1, index + 1)];
    way += Math.hypot(x - px, y - py);
    const long = Math.hypot(nx - px, ny - py) || 1;
    const onBar = x > at.shore && x < at.coast - 10 && Math.abs(y - at.middle) < at.barHalf + 4;
    const quiet = Math.min(1, Math.max(0, x - from) / 26, Math.max(0, to - x) / 26);
    const size = (onBar ? 0.9 : at.tall ? 3.6 : 2) * calm * quiet;
    const wave = size * (Math.sin(way / 27 + side * 2) + 0.42 * Math.sin(way / 12.7 + side) + 0.1 * Math.sin(way / 5.9));
    return [x - (ny - py) / long * wave, y + (nx - px) / long * wave];
  });
}

/** A closed path through points, with the corners taken off. */
function path(points) {
  const number = value => value.toFixed(1);
  const middle = ([ax, ay], [bx, by]) => [(ax + bx) / 2, (ay + by) / 2];
  const last = points[points.length - 1];
  let out = `M${middle(last, points[0]).map(number).join(' ')}`;
  points.forEach((point, index) => {
    const end = middle(point, points[(index + 1) % points.length]);
    out += `Q${point.map(number).join(' ')} ${end.map(number).join(' ')}`;
  });
  return `${out}z`;
}

/** A line that leaves and arrives level. */
export function curve(x1, y1, x2, y2) {
  const middle = ((x1 + x2) / 2).toFixed(1);
  return `M${x1.toFixed(1)} ${y1.toFixed(1)}C${middle} ${y1.toFixed(1)} ${middle} ${y2.toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
}
