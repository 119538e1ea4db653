// SPDX-License-Identifier: Apache-2.0
// Chromium without a window, driven by its DevTools protocol over a pipe: no driver, no port, nothing but Node.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How long the browser may take for one answer. */
const ANSWER_MS_MAX = 120_000;

/** How long it may take to end. */
const CLOSE_MS_MAX = 5_000;

/** What keeps it from asking anything of the network by itself. */
const FLAGS = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
];

export class Chromium {
    #process;
    #profile = mkdtempSync(join(tmpdir(), "sta-chromium-"));
    #last = 0;
    #waiting = new Map();
    #listeners = [];
    #errors = "";

    /** Starts the browser of this path. */
    constructor(path) {
        this.#process = spawn(path, [...FLAGS, `--user-data-dir=${this.#profile}`, "about:blank"], {
            stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
        });
        this.#process.on("error", (error) => this.#fail(`${path} cannot be started: ${error.message}`));
        this.#process.on("exit", (code) => this.#fail(`${path} ended with ${code}: ${this.#errors.slice(-2000)}`));
        this.#process.stderr.on("data", (text) => (this.#errors += text));
        this.#process.stdio[3].on("error", () => {});
        // Messages end with a zero byte; a letter may come in two pieces, so they are cut as bytes.
        let rest = Buffer.alloc(0);
        this.#process.stdio[4].on("data", (bytes) => {
            rest = Buffer.concat([rest, bytes]);
            for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
                this.#received(JSON.parse(rest.subarray(0, end).toString("utf8")));
                rest = rest.subarray(end + 1);
            }
        });
    }

    /** Asks the browser, or the page of a session, and gives its answer. */
    ask(method, params = {}, sessionId = undefined) {
        const id = ++this.#last;
        return new Promise((resolve, reject) => {
            const late = () => this.#fail(`${method} was not answered within ${ANSWER_MS_MAX} ms`);
            const timer = setTimeout(late, ANSWER_MS_MAX);
            this.#waiting.set(id, { method, resolve, reject, timer });
            this.#process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
        });
    }

    /** Opens a new page that nobody has used; `on` hears of everything that happens there. */
    async page(on) {
        const { browserContextId } = await this.ask("Target.createBrowserContext");
        const { targetId } = await this.ask("Target.createTarget", { url: "about:blank", browserContextId });
        const { sessionId } = await this.ask("Target.attachToTarget", { targetId, flatten: true });
        this.#listeners.push({ sessionId, on });
        const page = { ask: (method, params) => this.ask(method, params, sessionId) };
        for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.ask(`${domain}.enable`);
        return {
            ...page,
            /** Goes there and waits until it has loaded. */
            open: async (url) => {
                const loaded = new Promise((resolve) =>
                    this.#listeners.push({ sessionId, on: (method) => method === "Page.loadEventFired" && resolve() }),
                );
                const { errorText } = await page.ask("Page.navigate", { url });
                if (errorText) throw new Error(`${url} cannot be opened: ${errorText}`);
                await loaded;
            },
            /** What an expression of the page comes to. */
            evaluate: async (expression) => {
                const answer = await page.ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
                if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails));
                return answer.result.value;
            },
            close: () => this.ask("Target.disposeBrowserContext", { browserContextId }),
        };
    }

    /** Ends the browser and forgets its profile. */
    async close() {
        this.#process.removeAllListeners("exit");
        if (this.#process.exitCode === null && this.#process.pid) {
            const ended = new Promise((resolve) => this.#process.once("exit", resolve));
            const timer = setTimeout(() => this.#process.kill("SIGKILL"), CLOSE_MS_MAX);
            // It ends before it answers, or has ended already.
            this.ask("Browser.close").catch(() => {});
            await ended;
            clearTimeout(timer);
            this.#fail("it was closed");
        }
        for (let tries = 0; tries < 20; tries++) {
            try {
                rmSync(this.#profile, { recursive: true, force: true });
                return;
            } catch {
                // Its helpers write for a moment longer than it runs.
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
        }
        console.error(`warning: ${this.#profile} could not be removed`);
    }

    #received({ id, method, params, result, error, sessionId }) {
        const waiting = this.#waiting.get(id);
        if (waiting) {
            this.#waiting.delete(id);
            clearTimeout(waiting.timer);
            if (error) waiting.reject(new Error(`${waiting.method}: ${error.message}`));
            else waiting.resolve(result);
        }
        for (const listener of this.#listeners) if (method && listener.sessionId === sessionId) listener.on(method, params);
    }

    #fail(why) {
        for (const { reject, timer } of this.#waiting.values()) {
            clearTimeout(timer);
            reject(new Error(why));
        }
        this.#waiting.clear();
    }
}
