// SPDX-License-Identifier: MIT
const { get } = require('./get.js');

(async () => {
  for (let i = 0; i < 8; i++) await Promise.all(Array.from({ length: 60 }, () => get(120)));
})();
