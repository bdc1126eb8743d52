// SPDX-License-Identifier: MIT
const { get } = require('./get.js');

(async () => {
  for (let i = 0; i < 40; i++) await get(25);
})();
