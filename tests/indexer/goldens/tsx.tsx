import React, { useState } from "react";
import { Line, Order } from "./order";

interface Props {
  order: Order;
  onPay: (cents: number) => void;
}

const Empty = () => <p>Nothing yet.</p>;

export function LineView({ line }: { line: Line }) {
  const total = line.cents / 100;
  return (
    <li className="line">
      <span>{line.name}</span>
      <b>{total.toFixed(2)}</b>
    </li>
  );
}

/** The whole order with its buttons. */
export const OrderView: React.FC<Props> = ({ order, onPay }) => {
  const [open, setOpen] = useState(true);
  const [error, setError] = useState<string | null>(null);
  const total = order.lines.reduce((all, line) => all + line.cents, 0);

  const pay = () => {
    try {
      onPay(total);
      setOpen(false);
    } catch (problem) {
      setError(String(problem));
    }
  };

  if (order.lines.length === 0) {
    return <Empty />;
  }

  return (
    <section className="order">
      <header>
        <h1>Your order</h1>
        {error && <p className="error">{error}</p>}
      </header>
      <ul>
        {order.lines.map((line) => (
          <LineView key={line.id} line={line} />
        ))}
      </ul>
      <footer>
        <output>{total}</output>
        <button disabled={!open} onClick={pay}>
          Pay
        </button>
        <button onClick={() => setOpen(!open)}>
          {open ? "Close" : "Open"}
        </button>
      </footer>
    </section>
  );
};

export default OrderView;
