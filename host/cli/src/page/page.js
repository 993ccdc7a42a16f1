'use strict';
// What takes the space, as a squarified treemap (Bruls, Huizing and van Wijk, 2000). Each cell is an item of a list, and what can
// be opened is a button. Text is only ever set as text.
for (const place of document.querySelectorAll('.treemap')) {
  const items = JSON.parse(place.querySelector('script').textContent);
  const children = items.map(() => []);
  items.forEach((item, index) => { if (index > 0) children[item.parent].push(index); });
  for (const list of children) list.sort((a, b) => items[b].size - items[a].size || a - b);

  const path = document.createElement('nav');
  path.setAttribute('aria-label', `Where in ${place.dataset.name}`);
  const map = document.createElement('ul');
  map.className = 'map';
  const said = document.createElement('p');
  said.setAttribute('role', 'status');
  const rest = document.createElement('div');
  rest.className = 'wide';
  place.append(path, map, said, rest);
  let current = 0;

  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  function size(bytes) {
    let unit = 0;
    while (bytes >= 1024 && unit < 6) { bytes /= 1024; unit += 1; }
    return `${unit === 0 || bytes >= 100 ? Math.floor(bytes) : Math.floor(bytes * 10) / 10} ${units[unit]}`;
  }
  function share(part, whole) { return whole > 0 ? `${(part / whole * 100).toFixed(1)} %` : '0 %'; }
  function called(index) { return index === 0 ? place.dataset.name : items[index].name; }
  function opens(index) { return children[index].length > 0; }

  // Cuts a rectangle into one for each child, in proportion: rows along the shorter side, as square as they get.
  function layout(list, x, y, width, height) {
    const cells = [];
    let total = list.reduce((sum, index) => sum + items[index].size, 0);
    let at = 0;
    while (at < list.length && total > 0) {
      const short = Math.min(width, height);
      const scale = width * height / total;
      let row = 0, end = at, worst = Infinity;
      while (end < list.length) {
        const next = row + items[list[end]].size;
        const side = next * scale / short;
        const ratio = (index) => {
          const length = items[index].size * scale / side;
          return Math.max(side / length, length / side);
        };
        const ratios = Math.max(ratio(list[at]), ratio(list[end]));
        if (end > at && ratios > worst) break;
        worst = ratios; row = next; end += 1;
      }
      const side = row * scale / short;
      let along = 0;
      for (let i = at; i < end; i += 1) {
        const length = items[list[i]].size * scale / side;
        cells.push(width >= height
          ? { index: list[i], x, y: y + along, width: side, height: length }
          : { index: list[i], x: x + along, y, width: length, height: side });
        along += length;
      }
      if (width >= height) { x += side; width -= side; } else { y += side; height -= side; }
      total -= row; at = end;
    }
    return cells;
  }

  function cell(box) {
    const item = items[box.index];
    const entry = document.createElement('li');
    Object.assign(entry.style, { left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` });
    const inner = document.createElement(opens(box.index) ? 'button' : 'div');
    inner.className = `cell ${item.sort}`;
    const text = `${item.name}: ${size(item.size)}, ${share(item.size, items[current].size)}`;
    inner.title = text;
    if (opens(box.index)) {
      inner.type = 'button';
      inner.setAttribute('aria-label', `${text}, open`);
      inner.addEventListener('click', () => open(box.index, true));
    } else {
      inner.setAttribute('role', 'img');
      inner.setAttribute('aria-label', text);
    }
    if (box.width > 40 && box.height > 18) {
      const name = document.createElement('span');
      name.textContent = item.name;
      inner.append(name);
      if (box.height > 38) {
        const small = document.createElement('small');
        small.textContent = size(item.size);
        inner.append(small);
      }
    }
    entry.append(inner);
    if (box.width > 90 && box.height > 90) {
      const inside = children[box.index].filter((index) => items[index].size > 0).slice(0, 60);
      for (const one of layout(inside, 6, 44, box.width - 12, box.height - 50)) {
        if (one.width < 3 || one.height < 3) continue;
        const shade = document.createElement('i');
        Object.assign(shade.style, { left: `${one.x}px`, top: `${one.y}px`, width: `${one.width}px`, height: `${one.height}px` });
        entry.append(shade);
      }
    }
    return entry;
  }

  function trail(index) {
    const trail = [];
    for (;; index = items[index].parent) {
      trail.unshift(index);
      if (index === 0) return trail;
    }
  }

  function list(found) {
    const table = document.createElement('table');
    const caption = table.createCaption();
    caption.textContent = `In ${called(current)}`;
    const head = table.createTHead().insertRow();
    for (const title of ['name', 'size', 'share']) {
      const cell = document.createElement('th');
      cell.scope = 'col';
      cell.textContent = title;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const index of found.slice(0, 20)) {
      const row = body.insertRow();
      const name = document.createElement('th');
      name.scope = 'row';
      name.textContent = items[index].name;
      row.append(name);
      row.insertCell().textContent = size(items[index].size);
      row.insertCell().textContent = share(items[index].size, items[current].size);
    }
    return table;
  }

  function open(index, focus) {
    const from = current;
    current = index;
    const steps = trail(index).map((step) => {
      const last = step === index;
      const node = document.createElement(last ? 'span' : 'button');
      node.textContent = called(step);
      if (last) node.setAttribute('aria-current', 'location');
      else { node.type = 'button'; node.addEventListener('click', () => open(step, true)); }
      return node;
    });
    path.replaceChildren(...steps);
    const found = children[index].filter((child) => items[child].size > 0);
    map.setAttribute('aria-label', `What takes the space in ${called(index)}`);
    const boxes = layout(found, 0, 0, map.clientWidth, map.clientHeight)
      .filter((box) => box.width >= 1 && box.height >= 1);
    map.replaceChildren(...boxes.map(cell));
    // What is in the volume itself is in the page's own table.
    rest.replaceChildren(...(index === 0 ? [] : [list(found)]));
    said.textContent = `${called(index)}: ${size(items[index].size)}, ${children[index].length} inside`;
    if (focus) {
      // Back where one came from, or on the first that can be opened, or on the way back.
      const at = boxes.findIndex((box) => box.index === from);
      const buttons = map.querySelectorAll('button');
      const back = at >= 0 ? map.children[at]?.querySelector('button') : null;
      (back ?? buttons[0] ?? path.querySelector('button'))?.focus();
    }
  }

  place.addEventListener('keydown', (event) => {
    if ((event.key === 'Escape' || event.key === 'Backspace') && current !== 0) {
      event.preventDefault();
      open(items[current].parent, true);
    }
  });
  let waiting = 0;
  addEventListener('resize', () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => open(current, false)); });
  open(0, false);
}
