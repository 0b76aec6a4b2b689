// What a user does on the controller's page, and what must come of it; page_test.py starts the daemons and says where they are.
import {createRequire} from 'node:module';
import assert from 'node:assert/strict';

const {URL: url, TOKEN: token, CONTROLLER: controller, NODE_URL: nodeUrl, NODE_TOKEN: nodeToken, NODE: node, PLAYWRIGHT, CHROMIUM} = process.env;
const {chromium} = createRequire(import.meta.url)(PLAYWRIGHT);

async function api(base, secret, method, path, body) {
  const answer = await fetch(base + path, {method, headers: {'X-ZT1-Auth': secret}, body: body && JSON.stringify(body)});
  return answer.json();
}
const ofController = (method, path, body) => api(url, token, method, path, body);
const ofNode = (method, path, body) => api(nodeUrl, nodeToken, method, path, body);

async function until(what, probe, seconds = 15) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    if (await probe()) return;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

const browser = await chromium.launch({executablePath: CHROMIUM, args: ['--no-sandbox']});
const page = await browser.newPage();
page.setDefaultTimeout(15000);
const errors = [], requests = [];
page.on('pageerror', (e) => errors.push(String(e)));
page.on('console', (m) => { if (m.type() === 'error' && !/ 40[01] /.test(m.text())) errors.push(m.text()); });
page.on('request', (r) => requests.push(r.url()));
page.on('dialog', (d) => d.accept());
const row = page.locator(`tr[data-member="${node}"]`);
const has = (locator, text, seconds) => until(text, async () => (await locator.count()) > 0 && (await locator.first().textContent()).includes(text), seconds);
const tab = (name) => page.click(`.tabs a:has-text("${name}")`);
let network;

const cases = {
  async 'a wrong token is refused, the right one opens the page'() {
    await page.goto(url + '/');
    await page.fill('#token', 'wrong');
    await page.click('form button');
    await has(page.locator('#notice'), 'token');
    await page.fill('#token', token);
    await page.click('form button');
    await has(page.locator('h1'), 'Networks');
    assert.ok(!page.url().includes(token));
  },
  async 'a network is created and opens'() {
    await page.fill('#new-name', 'by the page');
    await page.click('button:has-text("Create a network")');
    await has(page.locator('h1'), 'by the page');
    network = page.url().split('/').at(-1);
    assert.ok(network.startsWith(controller), network);
  },
  async 'a node that joins is seen, authorised, given an address, and online'() {
    await ofNode('POST', '/network/' + network, {});
    await has(row, 'waiting', 30);
    await row.locator('button:has-text("Authorise")').click();
    await has(row, 'authorised');
    await until('the node is configured', async () => (await ofNode('GET', '/network/' + network)).status === 'OK');
    await page.locator('h1').click();
    await has(row, 'online');
    await until('its address', async () => /^10\.147\.17\.\d+$/.test(await row.locator('input[aria-label^="ipAssignments"]').inputValue()));
    await tab('addresses');
    await has(page.locator('table'), node);
  },
  async 'rules are written as a source, with errors in their place'() {
    await tab('rules');
    assert.equal(await page.inputValue('#rules'), 'accept;\n');
    await page.fill('#rules', '# only what we know\ndrop\n  not ethertype ipv4\n  and not ethertype nonsense\n;\naccept;\n');
    await has(page.locator('.complaint'), 'line 4, column 21');
    assert.equal(await page.locator('.editor .wrong').textContent(), '4');
    await page.click('button:has-text("Save rules")');
    await has(page.locator('.complaint'), 'line 4');
    assert.equal((await ofController('GET', '/controller/network/' + network)).rules.length, 1);
    const source = 'tag team\n  id 7\n  enum 1 red\n  default red\n;\ndrop\n  not ethertype ipv4\n  and not ethertype arp\n;\naccept;\n';
    await page.fill('#rules', source);
    await until('no complaint', async () => (await page.locator('.complaint').textContent()) === '');
    await page.click('button:has-text("Save rules")');
    await has(page.locator('.complaint'), 'Saved');
    const saved = await ofController('GET', '/controller/network/' + network);
    assert.deepEqual(saved.rules.map((r) => r.type), ['MATCH_ETHERTYPE', 'MATCH_ETHERTYPE', 'ACTION_DROP', 'ACTION_ACCEPT']);
    assert.deepEqual(saved.tags, [{id: 7, default: 1}]);
    assert.equal(saved.rulesSource, source);
    await tab('members');
    await tab('rules');
    assert.equal(await page.inputValue('#rules'), source);
  },
  async 'rules as JSON: with an error they are refused at their line, good ones are saved'() {
    await page.click('button:has-text("As JSON")');
    assert.equal(JSON.parse(await page.inputValue('#rules')).rules.length, 4);
    await page.fill('#rules', '{\n "rules": [\n  {"type": "ACTION_ACCEPT"},\n  {"type": "MATCH_ETHERTYPE"}\n ]\n}');
    await page.click('button:has-text("Save rules")');
    await has(page.locator('.complaint'), 'line 4: $.rules[1].etherType');
    assert.equal(await page.locator('.editor .wrong').textContent(), '4');
    await page.fill('#rules', '{"rules": [}');
    await has(page.locator('.complaint'), 'line 1');
    await page.fill('#rules', '{"rules": [{"type": "MATCH_ETHERTYPE", "etherType": 2048}, {"type": "ACTION_ACCEPT"}]}');
    await page.click('button:has-text("Save rules")');
    await has(page.locator('.complaint'), 'Saved');
    const saved = await ofController('GET', '/controller/network/' + network);
    assert.equal(saved.rules.length, 2);
    assert.equal(saved.rulesSource, '', 'the source does not say what is in force any more');
  },
  async 'settings are saved, and what is wrong is marked'() {
    await tab('settings');
    await page.fill('#routes', '10.9.0.1/24');
    await page.click('button:has-text("Save")');
    await until('the mark', async () => (await page.locator('#routes.wrong').count()) === 1);
    await page.fill('#routes', '10.9.0.0/24');
    await page.click('button:has-text("Save")');
    await has(page.locator('.complaint'), 'Saved');
    assert.deepEqual((await ofController('GET', '/controller/network/' + network)).routes, [{target: '10.9.0.0/24', via: null}]);
  },
  async 'a member is put out, and knows it'() {
    await tab('members');
    await row.locator('button:has-text("Deauthorise")').click();
    await has(row, 'waiting');
    await until('the node is out', async () => (await ofNode('GET', '/network/' + network)).status === 'ACCESS_DENIED', 3);
  },
  async 'peers, traffic and the log'() {
    await page.click('nav a:has-text("Peers")');
    await has(page.locator('table'), node);
    await ofController('POST', '/network/' + network, {});
    await page.click('nav a:has-text("Traffic")');
    await until('a plot', async () => (await page.locator('.uplot canvas').count()) > 0);
    await page.click('nav a:has-text("Log")');
    await has(page.locator('table'), 'member.deauthorized');
  },
  async 'no script failed, and nothing but the daemon was asked'() {
    assert.deepEqual(errors, []);
    assert.deepEqual(requests.filter((r) => !r.startsWith(url + '/')), []);
  },
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  const begin = Date.now();
  try {
    await run();
    console.log(`ok      ${name} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
  } catch (e) {
    ++failed;
    console.log(`FAILED  ${name}\n        | ${e.message.split('\n')[0]}`);
  }
}
console.log(`${failed} of ${Object.keys(cases).length} failed`);
await browser.close();
process.exit(failed ? 1 : 0);
