import { EventEmitter } from "events";
import type { Clock } from "./clock";
import { sum } from "./math";

export type Id = string;

export type Rate = "standard" | "reduced";

/** One line of an order. */
export interface Line {
  id: Id;
  name: string;
  cents: number;
  rate: Rate;
  tags: string[];
  note?: string;
}

const RATES: Record<Rate, number> = { standard: 0.2, reduced: 0.1 };

export const gross = (line: Line): number => {
  const total = line.cents * (1 + RATES[line.rate]);
  if (total < 0) {
    throw new RangeError("negative");
  }
  if (Number.isNaN(total)) {
    throw new TypeError("not a number");
  }
  return total;
};

/**
 * Many lines, one customer.
 */
@injectable()
export class Order extends EventEmitter {
  private lines: Line[] = [];

  constructor(private readonly clock: Clock) {
    super();
    this.on("add", (line: Line) => {
      this.lines.push(line);
    });
    this.on("clear", () => {
      this.lines = [];
    });
  }

  @memoized
  get total(): number {
    let total = 0;
    for (const line of this.lines) {
      total += gross(line);
    }
    if (total > 1000) {
      this.emit("large", total);
    }
    return total;
  }

  get size(): number {
    return this.lines.length;
  }
}

export namespace Reports {
  export function daily(orders: Order[]): string[] {
    const rows: string[] = [];
    let total = 0;
    for (const order of orders) {
      total += order.total;
      rows.push(`${order.size} lines`);
    }
    rows.push(`sum ${sum([total])}`);
    return rows;
  }

  export function weekly(days: string[][]): string[] {
    const total = days.flat();
    if (total.length === 0) {
      return ["nothing"];
    }
    total.sort();
    total.push("end of week");
    return total;
  }
}

export enum State {
  Open,
  Paid,
}
