// SPDX-License-Identifier: GPL-2.0-only
// Perfetto's trace processor as a filter: requests (TraceProcessorRpcStream) come on standard input, replies go to
// standard output.
//
//     node traceprocessor.js DIR < requests > replies
//
// DIR holds engine_bundle.js and trace_processor.wasm of Perfetto's own user interface, where they run in a browser's
// worker. What is made here is what they use of such a worker.
"use strict";

const fs = require("fs");
const path = require("path");
const vm = require("vm");
const { webcrypto } = require("crypto");

const directory = process.argv[2];

// Standard output is for replies.
const say = (...words) => process.stderr.write(words.join(" ") + "\n");

// With an error Node would show the line it is in, which here is a megabyte long.
process.on("uncaughtException", (error) => {
  say(`${error.name}: ${error.message}`);
  process.exit(1);
});

class FileRequest {
  open(_method, name) {
    this.name = path.basename(name);
  }

  send() {
    this.response = fs.readFileSync(path.join(directory, this.name));
  }
}

const worker = vm.createContext({
  WorkerGlobalScope: Object, // its presence is what tells a worker
  XMLHttpRequest: FileRequest,
  TextDecoder,
  TextEncoder,
  URL,
  crypto: webcrypto,
  performance,
  setTimeout,
  clearTimeout,
  location: { href: "http://localhost/" },
  console: { log: say, warn: say, error: say, info: say, debug: say },
});
worker.self = worker;
worker.Uint8Array = vm.runInContext("Uint8Array", worker);

function writeWhole(reply) {
  for (let done = 0; done < reply.length; ) {
    done += fs.writeSync(1, reply, done);
  }
}

const port = { postMessage: writeWhole };
vm.runInContext(fs.readFileSync(path.join(directory, "engine_bundle.js"), "utf8"), worker);
worker.onmessage({ data: port });
// Requests must be of the worker's own kind of array. The module is ready once the promises made meanwhile are kept.
const requests = new worker.Uint8Array(fs.readFileSync(0));
setImmediate(() => port.onmessage({ data: requests }));
