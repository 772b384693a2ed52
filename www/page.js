// Entry of the page. The client is there at once (`window.tombolo`); its engine starts in a worker by itself.
import { client } from './client.js';
import { App } from './ui/app.js';

new App(client);
