// SPDX-License-Identifier: MIT
// worker.mjs LIMIT - what worker.c does
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

function primeCount(limit) {
  let n = 0;
  for (let i = 2; i < limit; i++) {
    let d = 2;
    while (d * d <= i && i % d !== 0) d++;
    if (d * d > i) n++;
  }
  return n;
}

if (isMainThread) {
  const limit = Number(process.argv[2] ?? 2000000);
  let ticks = 0;
  const ticker = setInterval(() => ticks++, 10);
  const n = await new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: limit });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
  clearInterval(ticker);
  console.log(`${n} primes below ${limit}; the loop ticked ${ticks} times meanwhile`);
} else {
  parentPort.postMessage(primeCount(workerData));
}
