// SPDX-License-Identifier: MIT
// three.mjs PRICES-URL INVENTORY-URL COMPETITORS-URL - what three.c does
async function get(url) {
  const res = await fetch(url, { signal: AbortSignal.timeout(15000) });
  return (await res.arrayBuffer()).byteLength;
}

const [prices, inventory, competitors] = await Promise.all(process.argv.slice(2, 5).map(get));
console.log(`prices ${prices} bytes, inventory ${inventory} bytes, competitors ${competitors} bytes`);
