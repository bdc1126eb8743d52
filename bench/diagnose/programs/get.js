// SPDX-License-Identifier: MIT
// What the Node programs of this bench do: fetch late pages, compute.
const http = require('http');

exports.get = (ms) => new Promise((resolve, reject) => {
  http.get({ host: '127.0.0.1', port: process.env.LATE_PORT, path: `/?ms=${ms}` }, (answer) => {
    answer.resume();
    answer.on('end', resolve);
  }).on('error', reject);
});

exports.burn = (ms) => {
  let sum = 0;
  for (let i = 0; i < ms * 300000; i++) sum = (sum * 31 + i) | 0;
  return sum;
};
