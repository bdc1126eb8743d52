// SPDX-License-Identifier: MIT
// page.js - the timeline's page: hover, pan and zoom.  Without it the picture is all there.
(function () {
  'use strict';
  var svg = document.getElementById('timeline'), box = document.getElementById('box');
  var tip = document.getElementById('tip'), data = JSON.parse(document.getElementById('data').textContent);
  var UNITS = 1e6, MOST = 5000;
  var zoom = 1, left = 0; // left: the first unit shown
  var moving = document.querySelectorAll('.z'), axes = document.querySelectorAll('.axis');
  var patterns = document.querySelectorAll('pattern[id^="p-"]');
  var ns = 'http://www.w3.org/2000/svg';

  // "gap,length,words[,n,cpu,ready];": the marks of a lane, read when it is first pointed at.
  function parts(lane) {
    if (!lane.parts) {
      var at = 0;
      lane.parts = lane.d.split(';').slice(0, -1).map(function (text) {
        var f = text.split(',').map(Number), from = at + f[0];
        at = from + f[1];
        return {from: from, to: at, words: data.words[f[2]], n: f[3] || 1, cpu: f[4], ready: f[5]};
      });
    }
    return lane.parts;
  }

  function time(ns) {
    var units = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']], i = 0;
    if (ns >= 1e11) return Math.floor(ns / 6e10) + ' min ' + Math.floor(ns % 6e10 / 1e9) + ' s';
    while (i < 3 && ns < units[i][0]) i++;
    return Number((ns / units[i][0]).toPrecision(3)) + ' ' + units[i][1];
  }

  function step(range, most) {
    for (var p = 1; p < 1e15; p *= 10)
      for (var k = 0; k < 3; k++)
        if (p * [1, 2, 5][k] * most >= range) return p * [1, 2, 5][k];
    return range;
  }

  function element(name, css, attributes, text) {
    var e = document.createElementNS(ns, name);
    e.setAttribute('class', css);
    for (var a in attributes) e.setAttribute(a, attributes[a]);
    if (text) e.textContent = text;
    return e;
  }

  // What an axis says at a tick: digits enough to tell it from the next.
  function tick(at, by) {
    var unit = data.range >= 1e9 ? [1e9, ' s'] : data.range >= 1e6 ? [1e6, ' ms'] : [1e3, ' µs'];
    var digits = Math.max(0, -Math.floor(Math.log10(by / unit[0]) + 1e-9));
    return at ? (at / unit[0]).toFixed(digits) + unit[1] : '0';
  }

  function axis(g) {
    var top = g.dataset.top, y = Number(g.dataset.y), shown = data.range / zoom;
    var from = left / UNITS * data.range, by = step(shown, data.plot / 100);
    g.textContent = '';
    for (var t = Math.ceil(from / by - 1e-9) * by; t <= from + shown * 1.000001; t += by) {
      var x = (data.left + (t - from) / shown * data.plot).toFixed(1);
      g.appendChild(element('path', 'grid', {d: 'M' + x + ' ' + top + 'V' + y}));
      g.appendChild(element('text', 'm c', {x: x, y: y + 14}, tick(t, by)));
    }
  }

  function show() {
    zoom = Math.min(MOST, Math.max(1, zoom));
    left = Math.min(UNITS - UNITS / zoom, Math.max(0, left));
    var scale = data.plot / UNITS * zoom;
    moving.forEach(function (g) {
      g.setAttribute('transform', 'scale(' + scale + ' 1) translate(' + -left + ' 0)');
    });
    patterns.forEach(function (p) {
      p.setAttribute('patternTransform', 'scale(' + 1 / scale + ' 1)');
    });
    axes.forEach(axis);
  }

  function zoomBy(factor, share) { // share: of the plot's width, what stays where it is
    var at = left + share * UNITS / zoom;
    zoom = Math.min(MOST, Math.max(1, zoom * factor));
    left = at - share * UNITS / zoom;
    show();
  }

  function panBy(share) {
    left += share * UNITS / zoom;
    show();
  }

  // Where a pointer is: the share of the plot's width, and the picture's y.
  function place(e) {
    var r = svg.getBoundingClientRect(), k = r.width / data.width;
    return {share: ((e.clientX - r.left) / k - data.left) / data.plot, y: (e.clientY - r.top) / k};
  }

  function find(list, at) {
    var lo = 0, hi = list.length, near = 2 * UNITS / zoom / data.plot;
    while (lo < hi) {
      var mid = (lo + hi) >> 1;
      if (list[mid].to <= at) lo = mid + 1; else hi = mid;
    }
    // A mark is drawn at least a third of a pixel wide: what is two pixels away is meant too.
    if (list[lo] && list[lo].from <= at + near) return list[lo];
    return list[lo - 1] && list[lo - 1].to >= at - near ? list[lo - 1] : null;
  }

  function words(lane, at) {
    if (lane.t === 3) {
      var v = lane.d.split(';'), i = Math.floor(at / lane.w * (v.length - 1));
      return i < v.length - 1 ? v[i] + ' at ' + time(at / UNITS * data.range) : '';
    }
    var part = find(parts(lane), at);
    if (!part) return '';
    var text = part.words;
    if (part.n > 1 && lane.t)
      text = part.n + ' short ones: ' + part.cpu + ' % on CPU' +
        (part.ready ? ', ' + part.ready + ' % without a core' : '') +
        (part.cpu + part.ready < 99 ? ', ' + text : '');
    else if (part.n > 1)
      text += ' and others, busy ' + part.cpu + ' %';
    return text + '\n' + time((part.to - part.from) / UNITS * data.range) +
      ' at ' + time(part.from / UNITS * data.range);
  }

  function hover(e) {
    var p = place(e), text = '';
    if (p.share >= 0 && p.share <= 1)
      data.lanes.forEach(function (lane) {
        if (p.y >= lane.y && p.y < lane.y + lane.h) {
          var said = words(lane, left + p.share * UNITS / zoom);
          if (said) text = lane.n + ': ' + said;
        }
      });
    tip.hidden = !text;
    tip.textContent = text;
    if (text) {
      tip.style.left = Math.min(e.clientX + 14, window.innerWidth - tip.offsetWidth - 8) + 'px';
      tip.style.top = Math.min(e.clientY + 16, window.innerHeight - tip.offsetHeight - 8) + 'px';
    }
  }

  var drag = null;
  svg.addEventListener('pointerdown', function (e) {
    drag = {x: e.clientX, left: left};
    svg.setPointerCapture(e.pointerId);
  });
  svg.addEventListener('pointerup', function () { drag = null; });
  svg.addEventListener('pointercancel', function () { drag = null; });
  svg.addEventListener('pointermove', function (e) {
    if (drag) {
      var k = svg.getBoundingClientRect().width / data.width;
      left = drag.left - (e.clientX - drag.x) / k / data.plot * UNITS / zoom;
      show();
    }
    hover(e);
  });
  svg.addEventListener('pointerleave', function () { tip.hidden = true; });
  svg.addEventListener('wheel', function (e) {
    var p = place(e);
    if (p.share < 0 || p.share > 1) return; // beside the plot the wheel scrolls the page
    if (Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey)
      panBy((e.deltaX || e.deltaY) / 1000);
    else
      zoomBy(Math.exp(-e.deltaY / 300), p.share);
    e.preventDefault();
    hover(e);
  }, {passive: false});
  // A page just opened has no focus anywhere: its keys go to the body.
  document.addEventListener('keydown', function (e) {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    if (e.target !== document.body && !box.contains(e.target)) return;
    if (e.key === 'ArrowLeft') panBy(-.1);
    else if (e.key === 'ArrowRight') panBy(.1);
    else if (e.key === '+' || e.key === '=') zoomBy(1.5, .5);
    else if (e.key === '-') zoomBy(1 / 1.5, .5);
    else if (e.key === 'Home' || e.key === '0') { zoom = 1; left = 0; show(); }
    else return;
    e.preventDefault();
  });
}());
