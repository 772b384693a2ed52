// Entry of the page. The client is there at once (`window.tombolo`); its engine starts in a worker by itself.
import { Client } from './client.js';
import { readParameters } from './params.js';
import { App } from './ui/app.js';

window.tombolo = new Client({ ...readParameters(location), serviceWorker: new URL('shell.js', document.baseURI) });
new App(window.tombolo);
window.tombolo.restore().catch((error) => console.warn('What this browser keeps cannot be listed.', error));
