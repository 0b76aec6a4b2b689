// The controller's page: networks, members, rules, peers, traffic. Everything comes from the API of the daemon that serves it; the token
// stays in this tab. Text from the network is only ever set as text.
'use strict';

const main = document.querySelector('main');
const nav = document.querySelector('nav');
const state = {token: sessionStorage.getItem('token') || '', timers: [], plots: []};

// --- elements
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== 'string') made[key] = value;
    else made.setAttribute(key, value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) made.append(child);
  return made;
}
const show = (...children) => main.replaceChildren(...children);
const table = (heads, rows) => el('table', {}, el('thead', {}, el('tr', {}, heads.map((h) => el('th', {}, h)))), el('tbody', {}, rows));

function notice(text) {
  const box = document.getElementById('notice');
  box.textContent = text;
  box.hidden = !text;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => { box.hidden = true; }, 8000);
}

// --- the API
class Refused extends Error {
  constructor(status, message, path) {
    super(path ? `${path}: ${message}` : message);
    Object.assign(this, {status, path, plain: message});
  }
}

async function api(method, path, body) {
  const answer = await fetch(path, {
    method, headers: {'X-ZT1-Auth': state.token, ...(body === undefined ? {} : {'Content-Type': 'application/json'})},
    body: body === undefined ? undefined : JSON.stringify(body), cache: 'no-store',
  });
  const text = await answer.text();
  let value = null;
  try { value = text ? JSON.parse(text) : null; } catch { /* said below by its status */ }
  if (answer.ok) return value;
  if (answer.status === 401) leave();
  const error = value && value.error;
  throw new Refused(answer.status, (error && error.message) || (value && value.description) || `the daemon answers ${answer.status}`, error && error.path);
}
const v1 = (method, path, body) => api(method, '/api/v1' + path, body);

/// A handler that tells what went wrong.
const safely = (run) => async (event) => {
  if (event && event.preventDefault) event.preventDefault();
  try { await run(event); } catch (e) { notice(e.message); }
};

function leave() {
  sessionStorage.removeItem('token');
  state.token = '';
  location.hash = '';
  route();
}

// --- repeated work of a view, which ends with it
function every(ms, run) {
  const turn = async () => { try { await run(); } catch (e) { notice(e.message); } };
  state.timers.push(setInterval(turn, ms));
  return turn();
}

// --- views
function login() {
  const token = el('input', {type: 'password', id: 'token', autocomplete: 'off', required: true, 'aria-label': 'API token'});
  show(el('form', {class: 'login', onsubmit: safely(async () => {
    state.token = token.value.trim();
    await v1('GET', '/status');
    sessionStorage.setItem('token', state.token);
    location.hash = '#/networks';
    route();
  })},
  el('h1', {}, 'Log in'),
  el('p', {class: 'faint'}, 'The token of this daemon (authtoken.secret in its home directory), or one made with "orrery controller token create".'),
  el('div', {class: 'bar'}, token, el('button', {class: 'main'}, 'Log in'))));
  token.focus();
}

async function networks() {
  const list = el('div');
  const name = el('input', {placeholder: 'name', 'aria-label': 'name of a new network', id: 'new-name'});
  const filter = el('input', {placeholder: 'filter by name', 'aria-label': 'filter by name', oninput: () => load()});
  const load = async () => {
    const page = await v1('GET', '/networks?limit=200' + (filter.value ? '&name=' + encodeURIComponent(filter.value) : ''));
    list.replaceChildren(table(['Network', 'Name', 'Access', 'Members', 'Routes'], page.data.map((n) => el('tr', {},
      el('td', {}, el('a', {href: `#/networks/${n.id}`, class: 'mono'}, n.id)), el('td', {}, n.name || ''), el('td', {}, n.private ? 'private' : 'public'),
      el('td', {}, `${n.members.authorized} of ${n.members.total}`), el('td', {class: 'mono'}, n.routes.map((r) => r.target).join(', '))))),
    page.next ? el('p', {class: 'faint'}, `${page.data.length} of ${page.total}: filter by name to see others`) : null);
  };
  show(el('h1', {}, 'Networks'),
    el('form', {class: 'bar', onsubmit: safely(async () => {
      const made = await v1('POST', '/networks', {
        name: name.value, v4AssignMode: {zt: true}, routes: [{target: '10.147.17.0/24'}],
        ipAssignmentPools: [{ipRangeStart: '10.147.17.1', ipRangeEnd: '10.147.17.254'}]});
      location.hash = `#/networks/${made.id}`;
    })}, name, el('button', {class: 'main'}, 'Create a network'), filter), list);
  await every(5000, load);
}

async function members(id, where) {
  const kind = el('select', {'aria-label': 'which members', onchange: () => load()},
    ...[['', 'all'], ['authorized=true', 'authorised'], ['authorized=false', 'waiting'], ['online=true', 'online']].map(([v, t]) => el('option', {value: v}, t)));
  const name = el('input', {placeholder: 'name', 'aria-label': 'name contains', oninput: () => load()});
  const rows = el('div');
  const change = (m, fields) => safely(async () => { await v1('PATCH', `/networks/${id}/members/${m.id}`, fields); await load(); });
  const edit = (m, key, read, write) => {
    const input = el('input', {value: read(m), 'aria-label': `${key} of ${m.id}`});
    input.addEventListener('change', safely(() => v1('PATCH', `/networks/${id}/members/${m.id}`, {[key]: write(input.value)}).then(load)));
    return input;
  };
  let shown = '';
  const load = async () => {
    const query = [kind.value, name.value ? 'name=' + encodeURIComponent(name.value) : '', 'limit=500'].filter(Boolean).join('&');
    const page = await v1('GET', `/networks/${id}/members?${query}`);
    const now = JSON.stringify(page);
    const typing = rows.contains(document.activeElement) && document.activeElement.matches('input:not([type="checkbox"])');
    if (now === shown || typing) return;
    shown = now;
    rows.replaceChildren(table(['Member', 'Name', 'State', 'Addresses', 'Bridge', 'Version', ''], page.data.map((m) => el('tr', {'data-member': m.id},
      el('td', {class: 'mono'}, m.id),
      el('td', {}, edit(m, 'name', (x) => x.name || '', (t) => t)),
      el('td', {}, el('span', {class: m.live.online ? 'good' : 'faint'}, m.live.online ? 'online' : 'not seen'), ' ',
        el('span', {class: m.authorized ? 'good' : 'bad'}, m.authorized ? 'authorised' : 'waiting')),
      el('td', {}, edit(m, 'ipAssignments', (x) => x.ipAssignments.join(' '), (t) => t.split(/[\s,]+/).filter(Boolean))),
      el('td', {}, el('input', {type: 'checkbox', checked: m.activeBridge, 'aria-label': `bridge ${m.id}`, onchange: (e) => change(m, {activeBridge: e.target.checked})(e)})),
      el('td', {}, m.version || ''),
      el('td', {class: 'bar'},
        m.authorized ? el('button', {class: 'danger', onclick: change(m, {authorized: false})}, 'Deauthorise')
          : el('button', {class: 'main', onclick: change(m, {authorized: true})}, 'Authorise'),
        m.authorized ? null : el('button', {class: 'danger', onclick: safely(async () => { await v1('DELETE', `/networks/${id}/members/${m.id}`); await load(); })}, 'Forget'))))),
    page.next ? el('p', {class: 'faint'}, 'There are more: filter to see them.') : null);
  };
  where.replaceChildren(el('div', {class: 'bar'}, kind, name), rows);
  await every(2000, load);
}

function settings(id, network, where) {
  const value = (key) => form.elements[key];
  const line = (label, input) => [el('label', {for: input.id}, label), input];
  const text = (key, v) => el('input', {id: key, name: key, value: v});
  const box = (key, on) => el('div', {}, el('input', {type: 'checkbox', id: key, name: key, checked: on}));
  const list = (key, rows) => { const area = el('textarea', {id: key, name: key, rows: '3'}); area.value = rows.join('\n'); return area; };
  const lines = (key) => value(key).value.split('\n').map((l) => l.trim()).filter(Boolean);
  const wrong = el('p', {class: 'complaint', role: 'alert'});
  const form = el('form', {class: 'fields', onsubmit: async (event) => {
    event.preventDefault();
    for (const e of form.elements) e.classList.remove('wrong');
    wrong.textContent = '';
    const dns = value('dns').value.split(/\s+/).filter(Boolean);
    try {
      await v1('PATCH', `/networks/${id}`, {
        name: value('name').value, private: value('private').checked, mtu: Number(value('mtu').value), multicastLimit: Number(value('multicastLimit').value),
        enableBroadcast: value('enableBroadcast').checked, v4AssignMode: {zt: value('v4').checked},
        v6AssignMode: {zt: value('v6').checked, rfc4193: value('rfc4193').checked, '6plane': value('sixplane').checked},
        routes: lines('routes').map((l) => { const [target, , via] = l.split(/\s+/); return {target, via: via || null}; }),
        ipAssignmentPools: lines('ipAssignmentPools').map((l) => { const [a, b] = l.split(/\s*-\s*|\s+/); return {ipRangeStart: a, ipRangeEnd: b || a}; }),
        ...(dns.length ? {dns: {domain: dns[0], servers: dns.slice(1)}} : {}),
      });
      notice('');
      wrong.replaceChildren(el('span', {class: 'good'}, 'Saved.'));
    } catch (e) {
      wrong.textContent = e.message;
      const field = /^\$\.([A-Za-z0-9]+)/.exec(e.path || '');
      if (field && value(field[1])) { value(field[1]).classList.add('wrong'); value(field[1]).focus(); }
    }
  }},
  line('Name', text('name', network.name || '')), line('Private', box('private', network.private)),
  line('Routes (TARGET, or TARGET via GATEWAY)', list('routes', network.routes.map((r) => r.target + (r.via ? ` via ${r.via}` : '')))),
  line('Address pools (FIRST - LAST)', list('ipAssignmentPools', network.ipAssignmentPools.map((p) => `${p.ipRangeStart} - ${p.ipRangeEnd}`))),
  line('IPv4 from pools', box('v4', network.v4AssignMode.zt)), line('IPv6 from pools', box('v6', network.v6AssignMode.zt)),
  line('IPv6 by RFC 4193', box('rfc4193', network.v6AssignMode.rfc4193)), line('IPv6 by 6PLANE', box('sixplane', network.v6AssignMode['6plane'])),
  line('Broadcast', box('enableBroadcast', network.enableBroadcast)), line('MTU', text('mtu', String(network.mtu))),
  line('Recipients of a multicast', text('multicastLimit', String(network.multicastLimit))),
  line('DNS (DOMAIN SERVER...)', text('dns', network.dns ? [network.dns.domain, ...(network.dns.servers || [])].join(' ') : '')),
  el('span'), el('div', {class: 'bar'}, el('button', {class: 'main'}, 'Save'),
    el('button', {type: 'button', class: 'danger', onclick: safely(async () => {
      if (!confirm(`Delete network ${id}? Its members lose their certificates.`)) return;
      await v1('DELETE', `/networks/${id}`);
      location.hash = '#/networks';
    })}, 'Delete the network')));
  where.replaceChildren(form, wrong);
}

/// An area of text with line numbers and a complaint at one of them.
function editor(where, change) {
  const numbers = el('ol', {'aria-hidden': 'true'});
  const area = el('textarea', {spellcheck: false, 'aria-label': 'rules', id: 'rules'});
  const complaint = el('p', {class: 'complaint', role: 'alert'});
  let wrongLine = 0;
  const number = () => {
    const count = area.value.split('\n').length;
    numbers.replaceChildren(...Array.from({length: count}, (_, i) => el('li', i + 1 === wrongLine ? {class: 'wrong'} : {}, String(i + 1))));
    numbers.scrollTop = area.scrollTop;
  };
  area.addEventListener('input', () => { number(); change(); });
  area.addEventListener('scroll', () => { numbers.scrollTop = area.scrollTop; });
  where.replaceChildren(el('div', {class: 'editor'}, numbers, area), complaint);
  return {
    get text() { return area.value; },
    set text(value) { area.value = value; wrongLine = 0; complaint.textContent = ''; number(); },
    complain(line, text) { wrongLine = line; complaint.textContent = text; number(); },
    praise(text) { wrongLine = 0; complaint.replaceChildren(el('span', {class: 'good'}, text)); number(); },
  };
}

/// What a source in the rule language says, or null when it has an error, which is shown at its place.
async function compiled(edit) {
  const source = edit.text;
  const {error, warnings = [], ...config} = await v1('POST', '/rules/compile', {source});
  if (source !== edit.text) return null;  // more was typed meanwhile
  const at = (d) => `line ${d.line}, column ${d.column}: ${d.message}`;
  if (error) { edit.complain(error.line, at(error)); return null; }
  edit.complain(warnings.length ? warnings[0].line : 0, warnings.map(at).join('; '));
  return {...config, rulesSource: source};
}

/// The same of JSON, but for what only the controller can say.
function parsed(edit) {
  const text = parseWithPlaces(edit.text);
  if (text.error) { edit.complain(text.line, `line ${text.line}: ${text.error}`); return null; }
  if (!text.value || !Array.isArray(text.value.rules)) {
    edit.complain(1, 'line 1: expected an object with "rules", and if wanted "capabilities" and "tags"');
    return null;
  }
  edit.complain(0, '');
  return text;
}

function rules(id, network, where) {
  const asJson = (n) => JSON.stringify({rules: n.rules, capabilities: n.capabilities, tags: n.tags}, null, 2);
  const box = el('div');
  const help = el('p', {class: 'faint'});
  let language = Boolean(network.rulesSource) || network.rules.every((r) => r.type === 'ACTION_ACCEPT');
  let timer = 0;
  const check = () => {
    clearTimeout(timer);
    if (language) timer = setTimeout(safely(() => compiled(edit)), 300);
    else parsed(edit);
  };
  const edit = editor(box, check);
  const begin = () => {
    help.textContent = language ? 'The rule language: statements end with ";", the first one that matches decides, without a match a frame is dropped.'
      : 'Rules in the form of the API. The first one that matches decides; without a match a frame is dropped.';
    other.textContent = language ? 'As JSON' : 'As source';
    edit.text = language ? network.rulesSource || 'accept;\n' : asJson(network);
  };
  const other = el('button', {onclick: () => {
    if (!language && !network.rulesSource) notice('These rules were not written as a source: what is saved here takes their place.');
    language = !language;
    begin();
  }});
  const save = safely(async () => {
    clearTimeout(timer);
    const text = language ? null : parsed(edit);
    const fields = language ? await compiled(edit) : text && {...text.value, rulesSource: ''};
    if (!fields) return;
    try {
      network = await v1('PATCH', `/networks/${id}`, fields);
      edit.praise('Saved, and on its way to the members.');
    } catch (e) {
      if (e.status !== 400) throw e;
      const line = text ? text.at(e.path || '$') : 0;
      edit.complain(line, line ? `line ${line}: ${e.message}` : e.message);
    }
  });
  where.replaceChildren(help, box, el('div', {class: 'bar'}, el('button', {class: 'main', onclick: save}, 'Save rules'), other));
  begin();
}

async function addresses(id, where) {
  const page = await v1('GET', `/networks/${id}/addresses?limit=1000`);
  where.replaceChildren(table(['Address', 'Members'], page.data.map((a) => el('tr', {}, el('td', {class: 'mono'}, a.ip), el('td', {class: 'mono'}, a.members.join(', '))))),
    page.next ? el('p', {class: 'faint'}, `The first ${page.data.length} of ${page.total}.`) : null);
}

async function oneNetwork(id, tab = 'members') {
  const network = await v1('GET', `/networks/${id}`);
  const where = el('div');
  show(el('h1', {}, `${network.name || 'Network'} `, el('span', {class: 'mono faint'}, id)),
    el('div', {class: 'tabs'}, ['members', 'addresses', 'settings', 'rules'].map((t) => el('a', {href: `#/networks/${id}/${t}`, class: t === tab ? 'here' : ''}, t))), where);
  if (tab === 'settings') settings(id, network, where);
  else if (tab === 'rules') rules(id, network, where);
  else if (tab === 'addresses') await addresses(id, where);
  else await members(id, where);
}

async function peers() {
  const rows = el('div');
  show(el('h1', {}, 'Peers and paths'), rows);
  await every(2000, async () => {
    const list = await api('GET', '/peer');
    rows.replaceChildren(table(['Address', 'Role', 'Version', 'Latency', 'Cipher', 'Paths'], list.map((p) => el('tr', {},
      el('td', {class: 'mono'}, p.address), el('td', {}, p.role), el('td', {}, p.versionMajor < 0 ? '' : p.version), el('td', {}, p.latency < 0 ? '' : `${p.latency} ms`),
      el('td', {}, p.cipher || ''),
      el('td', {class: 'mono'}, p.paths.length ? p.paths.map((path) => el('div', {class: path.preferred ? 'good' : path.expired ? 'faint' : ''},
        `${path.address}${path.preferred ? ', preferred' : ''}${path.mtu ? `, ${path.mtu} bytes` : ''}`)) : 'by a root')))));
  });
}

async function traffic() {
  const where = el('div');
  show(el('h1', {}, 'Throughput of the networks joined here'), where);
  const kept = 150;
  const series = new Map();
  let last = null;
  const add = (id, stamp, rx, tx) => {
    if (!series.has(id)) {
      const box = el('div', {class: 'plot'});
      where.append(el('h2', {class: 'mono'}, id), box);
      const options = {
        width: Math.min(1100, main.clientWidth - 40), height: 220,
        axes: [{stroke: '#888', grid: {stroke: '#8883'}}, {stroke: '#888', grid: {stroke: '#8883'}, size: 70, values: (u, v) => v.map((x) => `${x} Mb/s`)}],
        series: [{}, {label: 'in', stroke: '#1f77b4', width: 2}, {label: 'out', stroke: '#d95f02', width: 2}], scales: {y: {range: (u, lo, hi) => [0, Math.max(1, hi * 1.1)]}}};
      const made = {data: [[], [], []], plot: new uPlot(options, [[], [], []], box)};
      series.set(id, made);
      state.plots.push(made.plot);
    }
    const one = series.get(id);
    [stamp, rx, tx].forEach((v, i) => { one.data[i].push(v); if (one.data[i].length > kept) one.data[i].shift(); });
    one.plot.setData(one.data);
  };
  await every(2000, async () => {
    const stamp = performance.timeOrigin / 1000 + performance.now() / 1000;
    const now = await api('GET', '/orrery/traffic');
    if (!now.networks.length) { where.replaceChildren(el('p', {class: 'faint'}, 'This node has joined no network.')); return; }
    for (const n of now.networks) {
      const before = last && last.networks.find((o) => o.id === n.id);
      const seconds = last ? stamp - last.stamp : 0;
      const rate = (key) => before && seconds > 0 ? Math.max(0, (n[key] - before[key]) * 8 / seconds / 1e6) : 0;
      add(n.id, stamp, rate('rxBytes'), rate('txBytes'));
    }
    last = {...now, stamp};
  });
}

async function log() {
  const rows = el('div');
  show(el('h1', {}, 'What was changed'), rows);
  await every(5000, async () => {
    const page = await v1('GET', '/audit?limit=200');
    rows.replaceChildren(table(['Time', 'Who', 'What', 'Network', 'Member', 'Fields'], page.data.map((e) => el('tr', {},
      el('td', {}, new Date(e.time).toLocaleString()), el('td', {}, e.actor), el('td', {}, e.type), el('td', {class: 'mono'}, e.network || ''),
      el('td', {class: 'mono'}, e.member || ''), el('td', {}, e.changes ? Object.keys(e.changes).join(', ') : '')))));
  });
}

// --- which view
async function route() {
  state.timers.splice(0).forEach(clearInterval);
  state.plots.splice(0).forEach((p) => p.destroy());
  const open = Boolean(state.token);
  nav.hidden = !open;
  document.getElementById('leave').hidden = !open;
  if (!open) { document.getElementById('who').textContent = ''; return login(); }
  const [view, id, tab] = location.hash.replace(/^#\//, '').split('/');
  for (const a of nav.children) a.className = a.hash === `#/${view}` ? 'here' : '';
  try {
    const status = await v1('GET', '/status');
    document.getElementById('who').textContent = `${status.controller} · ${status.caller.name}${status.writable ? '' : ' · the store takes no writes'}`;
    if (view === 'peers') await peers();
    else if (view === 'traffic') await traffic();
    else if (view === 'log') await log();
    else if (id && /^[0-9a-f]{16}$/.test(id)) await oneNetwork(id, tab);
    else await networks();
  } catch (e) { notice(e.message); }
}

document.getElementById('leave').addEventListener('click', leave);
window.addEventListener('hashchange', route);
route();
