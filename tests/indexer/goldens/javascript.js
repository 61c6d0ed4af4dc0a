"use strict";

const fs = require("fs");
const path = require("path");

const RATES = { standard: 0.2, reduced: 0.1 };

// Reads one file of orders.
async function load(name) {
  const text = await fs.promises.readFile(path.resolve(name), "utf8");
  const total = JSON.parse(text);
  if (!Array.isArray(total)) {
    throw new TypeError(name);
  }
  return total;
}

function* pairs(list) {
  for (let i = 0; i + 1 < list.length; i++) {
    yield [list[i], list[i + 1]];
  }
}

class Order {
  #open = true;

  constructor(lines) {
    this.lines = lines;
    this.notes = [];
    if (lines.length > 100) {
      this.#open = false;
      this.notes.push("too long");
    }
    Object.freeze(this.lines);
  }

  get total() {
    let total = 0;
    for (const line of this.lines) {
      total += line.cents * (1 + RATES[line.rate]);
    }
    if (total < 0) throw new RangeError("negative");
    return total;
  }

  static of(...lines) {
    return new Order(lines);
  }
}

Order.prototype.print = function (out) {
  const total = this.total.toFixed(2);
  for (const line of this.lines) {
    out.write(line.name);
    out.write("\n");
  }
  out.write(total);
  out.write("\n");
};

describe("an order", () => {
  it("adds up", () => {
    const total = Order.of({ cents: 1, rate: "reduced" }).total;
    expect(total).toBeCloseTo(1.1);
  });

  it("is frozen", () => {
    expect(() => Order.of().lines.push(1)).toThrow();
  });
});

module.exports = { load, pairs, Order };
