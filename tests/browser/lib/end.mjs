// Cleaning up in reverse order: a folder goes after the process that writes into it.

const stacks = new WeakMap();

/** Runs `action` when test `t` ends, before all that was registered earlier; every action runs, whatever others do. */
export function atEnd(t, action) {
  const stack = stacks.get(t) ?? [];
  stack.push(action);
  if (stacks.has(t)) return;
  stacks.set(t, stack);
  t.after(async () => {
    const problems = [];
    for (const each of stack.reverse()) await Promise.resolve().then(each).catch((error) => problems.push(error));
    if (problems.length > 0) throw problems[0];
  });
}
