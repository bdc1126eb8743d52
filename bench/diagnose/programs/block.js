// SPDX-License-Identifier: MIT
const { get, burn } = require('./get.js');

Promise.all(Array.from({ length: 12 }, async () => {
  await get(40);
  burn(120);
}));
