// SPDX-License-Identifier: Apache-2.0
// Opens a page in Chromium as people do: each language, wide and narrow, read and printed. It fails on any error of the
// console, any request for anything but the page itself, any violation that axe finds, a page wider than its window, and a
// link that leads to another language than it says.
//
//   node check.mjs CHROMIUM MODULES PAGE.html ...
//
// CHROMIUM is the path of the browser, MODULES the node_modules with axe-core.

import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { Chromium } from "./chromium.mjs";

/** Widths in CSS pixels: that of a laptop, and a little more than that of a phone. */
const WIDTHS = [1280, 400];
/** What each language is opened by, and the language of what is then seen; without a fragment it is English. */
const LANGUAGES = [
    ["", "en"],
    ["#fr", "fr"],
    ["#de", "de"],
];
/** Further places that lead into a language. */
const PLACES = [
    ["#en", "en"],
    ["#de-limits", "de"],
    ["#fr-summary", "fr"],
];
/** The language of what is seen. */
const SEEN = `[...document.querySelectorAll("article")].filter((part) => part.offsetParent).map((part) => part.lang).join()`;
/** Opens every table of a drawing. */
const OPEN = `document.querySelectorAll("details").forEach((details) => (details.open = true))`;
/** Elements of axe's answer that say enough to find and mend each violation. */
const AXE = `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap(({ id, help, nodes }) =>
    nodes.slice(0, 5).map(({ target, html }) => id + ": " + help + ": " + target.join(" ") + ": " + html.slice(0, 200))))`;

/** What happens in a page that must not. */
function wrongs(url, found) {
    return (method, params) => {
        if (method === "Network.requestWillBeSent" && params.request.url.split("#")[0] !== url)
            found.push(`it asks for ${params.request.url}`);
        if (method === "Runtime.exceptionThrown") found.push(`exception: ${params.exceptionDetails.text}`);
        if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type))
            found.push(`console: ${params.args.map((argument) => argument.value).join(" ")}`);
        if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level))
            found.push(`console: ${params.entry.text}`);
    };
}

/** One language at one width: as it opens, and, where it is narrow, with the tables of its drawings open. */
async function look(browser, axe, url, [fragment, language], width) {
    const found = [];
    const page = await browser.page(wrongs(url, found));
    const mobile = width < 600;
    await page.ask("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile });
    await page.open(url + fragment);
    const seen = await page.evaluate(SEEN);
    if (seen !== language) found.push(`what is seen is in '${seen}', not in '${language}'`);
    await page.evaluate(axe);
    if (mobile) await page.evaluate(OPEN);
    found.push(...(await page.evaluate(AXE)));
    const wide = await page.evaluate("document.documentElement.scrollWidth");
    if (wide > width) found.push(`it is ${wide} pixels wide`);
    if (!mobile) await page.ask("Page.printToPDF", { printBackground: true });
    await page.close();
    return found.map((what) => `${fragment || "as it opens"}, ${width} pixels: ${what}`);
}

/** From one language to the next by the links of the page. */
async function follow(browser, url) {
    const found = [];
    const page = await browser.page(wrongs(url, found));
    await page.open(url);
    for (const [fragment, language] of PLACES) {
        const click = `[...document.querySelectorAll('a[href="${fragment}"]')].forEach((link) => link.click())`;
        await page.evaluate(click);
        const seen = await page.evaluate(SEEN);
        if (seen !== language) found.push(`the link ${fragment} leads to '${seen}', not to '${language}'`);
    }
    await page.close();
    return found;
}

const [path, modules, ...files] = process.argv.slice(2);
if (files.length === 0) {
    console.error("usage: node check.mjs CHROMIUM MODULES PAGE.html ...");
    process.exit(2);
}
const axe = readFileSync(join(modules, "axe-core", "axe.min.js"), "utf8") + ";undefined";
const browser = new Chromium(path);
let failures = 0;
try {
    for (const file of files) {
        const found = [];
        const url = pathToFileURL(resolve(file)).href;
        const looks = WIDTHS.flatMap((width) => LANGUAGES.map((language) => look(browser, axe, url, language, width)));
        for (const wrong of await Promise.all([...looks, follow(browser, url)])) found.push(...wrong);
        for (const what of new Set(found)) console.error(`${file}: ${what}`);
        if (found.length === 0) console.log(`nothing found in ${looks.length} looks at ${basename(file)}`);
        failures += found.length;
    }
} finally {
    await browser.close();
}
process.exit(failures === 0 ? 0 : 1);
