// SPDX-License-Identifier: MIT
// N connections, each with one late page after the other: hold.js N MS PAGES
const net = require('net');

const [n, ms, pages] = process.argv.slice(2).map(Number);
const request = `GET /?ms=${ms} HTTP/1.1\r\nHost: x\r\n\r\n`;

for (let i = 0; i < n; i++) {
  let left = pages;
  const socket = net.connect(process.env.LATE_PORT, '127.0.0.1', () => socket.write(request));
  socket.on('data', (data) => {
    if (data[data.length - 1] !== 120) return;
    if (--left) socket.write(request);
    else socket.destroy();
  });
}
