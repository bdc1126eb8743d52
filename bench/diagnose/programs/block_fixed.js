// SPDX-License-Identifier: MIT
const { Worker, isMainThread, parentPort } = require('worker_threads');
const { get, burn } = require('./get.js');

async function main() {
  const workers = [0, 1].map(() => new Worker(__filename));
  const waiting = workers.map(() => []);
  let next = 0;

  workers.forEach((w, i) => w.on('message', () => waiting[i].shift()()));
  await Promise.all(Array.from({ length: 12 }, async () => {
    await get(40);
    const i = next++ % workers.length;
    await new Promise((done) => {
      waiting[i].push(done);
      workers[i].postMessage(120);
    });
  }));
  workers.forEach((w) => w.terminate());
}

if (isMainThread) main();
else parentPort.on('message', (ms) => parentPort.postMessage(burn(ms)));
