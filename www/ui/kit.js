// What every part of the page uses. In the packed page this is a module of its own, so that parts which are loaded when they are first
// needed (player, settings, code to scan) share it with the rest.
export * from './colours.js';
export * from './dom.js';
export * from './format.js';
