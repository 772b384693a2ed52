// CPU time and memory of whole process trees, read from /proc: browsers are a dozen processes each.

import { readFileSync, readdirSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** Every process: `{pid, parent, cpu}` with CPU seconds of it and of its ended children. */
function processes() {
  const all = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // The name in brackets may contain spaces: fields are counted from behind it.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      all.push({ pid: Number(name), parent: Number(fields[1]), cpu: ticks / TICKS_PER_SECOND });
    } catch {
      // It ended while we looked.
    }
  }
  return all;
}

/** The main process of a browser, known by its profile. */
export function browserPid(profile) {
  for (const { pid } of processes()) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (words.includes(`--user-data-dir=${profile}`) && !words.some((word) => word.startsWith('--type='))) return pid;
    } catch {
      // It ended while we looked.
    }
  }
  throw new Error(`no browser with profile ${profile}`);
}

/** Memory in bytes that a browser's pages have to themselves: of all processes that draw pages, below these. */
export function pageBytes(roots) {
  let total = 0;
  for (const pid of tree(roots, processes())) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer')) continue;
      const sums = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/^Private_(?:Clean|Dirty):\s+(\d+)/gm);
      for (const [, kib] of sums) total += Number(kib) * 1024;
    } catch {
      // It ended while we looked.
    }
  }
  return total;
}

function tree(roots, all) {
  const members = new Set(roots);
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of all) {
      if (members.has(parent) && !members.has(pid)) {
        members.add(pid);
        grown = true;
      }
    }
  }
  return members;
}

/** CPU seconds used until now by these processes and everything below them. */
export function cpuSeconds(roots) {
  const all = processes();
  const members = tree(roots, all);
  return all.filter(({ pid }) => members.has(pid)).reduce((sum, { cpu }) => sum + cpu, 0);
}

/** Memory in bytes, with shared pages counted once (PSS), of these processes and everything below them. */
export function memoryBytes(roots) {
  let total = 0;
  for (const pid of tree(roots, processes())) {
    try {
      total += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
    } catch {
      // It ended while we looked.
    }
  }
  return total;
}

/** Watches processes while `work` runs: `{result, cpu, memory}` with CPU seconds and peak memory in bytes. */
export async function cost(roots, work) {
  const before = cpuSeconds(roots);
  let memory = 0;
  const look = () => { memory = Math.max(memory, memoryBytes(roots)); };
  const timer = setInterval(look, 2000);
  try {
    const result = await work();
    look();
    return { result, cpu: cpuSeconds(roots) - before, memory };
  } finally {
    clearInterval(timer);
  }
}
