// SPDX-License-Identifier: MIT
const { get } = require('./get.js');

(async () => {
  for (let i = 0; i < 2; i++) await Promise.all(Array.from({ length: 20 }, () => get(25)));
})();
