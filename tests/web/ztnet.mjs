// What an administrator does on ztnet's pages; ztnet.py starts what is needed and looks at what came of it.
import {createRequire} from 'node:module';
import assert from 'node:assert/strict';

const {URL: url, EMAIL, PASSWORD, NETWORK: network, NODE: node, PLAYWRIGHT, CHROMIUM} = process.env;
const {chromium} = createRequire(import.meta.url)(PLAYWRIGHT);
const browser = await chromium.launch({executablePath: CHROMIUM, args: ['--no-sandbox']});
const page = await browser.newPage({viewport: {width: 1600, height: 1200}});
page.setDefaultTimeout(20000);
const errors = [];
page.on('pageerror', (e) => errors.push(String(e)));
page.on('response', (r) => { if (r.status() >= 400) errors.push(`${r.status()} ${r.url()}`); });
const row = page.locator(`tr:has-text("${node}")`);

await page.goto(url + '/auth/login');
await page.fill('input[name=email]', EMAIL);
await page.fill('input[name=password]', PASSWORD);
await page.click('button[type=submit]');

await page.click(`tr:has-text("${network}") td:first-child`);
await page.waitForURL('**/network/' + network);
assert.equal(await row.locator('input[type=checkbox]').isChecked(), false, 'the member is not let in');
await row.locator('input[type=checkbox]').click();
await row.locator('input[type=checkbox]:checked').waitFor();
await row.locator('text=/DIRECT/').waitFor();
await row.locator('text=10.7.0.1').waitFor();
// Nobody loads the page again: it follows the controller.
await row.locator('text=/10\\.11\\.12\\.3[0-9]/').waitFor();
await Promise.all([page.waitForResponse(/privatePublicNetwork/), page.click('text="Public"')]);

await page.goto(url + '/network');
await page.click('button:has-text("Create a network")');
await page.waitForURL((u) => /[0-9a-f]{16}$/.test(u.pathname) && !u.pathname.endsWith(network));
await page.click('button:has-text("Delete network")');
await page.click('button:has-text("Yes")');
await page.waitForURL('**/network');

await page.goto(url + '/admin?tab=controller');
await page.locator('text=/^1\\.14\\.1$/').first().waitFor();
await browser.close();
assert.deepEqual(errors, []);
